"""Whole people: what a net finds beside the person, or misses inside, is taken out at the net's own size.

Every pixel goes with the component (of probs of 0.5 and more, or of less) that lies nearest. So the soft edge of what stays is left as it
is, and that of what goes leaves with it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.image import Float32, UInt8

HOLE = 0.01  # of the picture: a larger gap, such as between arm and body, is background that can be seen


def largest_component(prob: Float32) -> Float32:
    """Keep the largest connected person of a prob (h,w) in [0,1]; everything else becomes 0."""
    person = prob >= 0.5
    if not person.any():
        return prob
    nearest = _nearest(person)
    areas = np.bincount(nearest[person], minlength=2)
    return np.where(nearest == areas.argmax(), prob, np.float32(0))


def fill_holes(prob: Float32, *, largest: float = HOLE) -> Float32:
    """Close gaps in the person of a prob (h,w) in [0,1]: they become 1.

    Args:
        prob: (h,w).
        largest: area of a gap, as a part of the picture's; one that touches the picture's rim is none.
    """
    background = prob < 0.5
    if not background.any():
        return prob
    nearest = _nearest(background)
    areas = np.bincount(nearest[background], minlength=2)
    keep = areas > largest * prob.size
    keep[np.concatenate([side[gap] for side, gap in zip(_rim(nearest), _rim(background), strict=True)])] = True
    return np.where(keep[nearest], prob, np.float32(1))


def _nearest(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The number, from 1, of the connected component of a mask (h,w) that lies nearest to each pixel of a picture that has one."""
    zeros: UInt8 = np.logical_not(mask).view(np.uint8)
    return np.asarray(cv2.distanceTransformWithLabels(zeros, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_CCOMP)[1], np.int32)


def _rim(picture: NDArray[np.generic]) -> tuple[NDArray[np.generic], ...]:
    return picture[0], picture[-1], picture[:, 0], picture[:, -1]
