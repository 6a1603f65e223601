"""Edges of 0/1 masks: boundary F and boundary IoU."""

import cv2
import numpy as np

from portraitseg.metrics.picture import UInt8
from portraitseg.metrics.region import ratio

TOLERANCE = 0.0075
"""Boundary F: how far apart two boundaries may lie and still count as equal, as a part of the picture's diagonal."""
DILATION = 0.02
"""Boundary IoU: how wide the boundary is, as a part of the picture's diagonal."""


def boundary_f(found: UInt8, truth: UInt8) -> float:
    """F measure in [0,1] of the boundary: harmonic mean of the parts of each edge that lie near the other one.

    The boundary is the outermost ring of person pixels (a 3x3 cross eroded), near is within 0.75% of the diagonal, at least 1 px.
    The rim of the picture is no boundary: a person who is cut off by it has none there.

    Args:
        found: 0/1 (H,W).
        truth: 0/1 (H,W).
    """
    reach = _pixels(TOLERANCE, truth)
    edge, true_edge = _edge(found), _edge(truth)
    length, true_length = cv2.countNonZero(edge), cv2.countNonZero(true_edge)
    if not length and not true_length:
        return 1.0
    precision = cv2.countNonZero(edge & _widen(true_edge, reach)) / max(length, 1)
    recall = cv2.countNonZero(true_edge & _widen(edge, reach)) / max(true_length, 1)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def boundary_iou(found: UInt8, truth: UInt8) -> float:
    """IoU in [0,1] of the masks' inner boundary bands (Cheng 2021, arXiv:2103.16562).

    The band holds the person's pixels within d of a pixel that is not the person, d = 2% of the diagonal, at least 1 px, measured as
    the larger of the distances by row and by column. As in the authors' code, what lies beyond the picture's rim is no person.

    Args:
        found: 0/1 (H,W).
        truth: 0/1 (H,W).
    """
    width = _pixels(DILATION, truth)
    band, true_band = _inner_band(found, width), _inner_band(truth, width)
    both, either = cv2.countNonZero(band & true_band), cv2.countNonZero(band | true_band)
    return ratio(both, either - both)


def _pixels(part: float, mask: UInt8) -> int:
    """A part of the diagonal in whole pixels, at least 1."""
    return max(1, round(part * float(np.hypot(*mask.shape))))


def _edge(mask: UInt8) -> UInt8:
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return np.asarray(mask ^ cv2.erode(mask, cross), np.uint8)


def _widen(edge: UInt8, reach: int) -> UInt8:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(edge, disc), np.uint8)


def _inner_band(mask: UInt8, width: int) -> UInt8:
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    return np.asarray(mask ^ cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=0), np.uint8)
