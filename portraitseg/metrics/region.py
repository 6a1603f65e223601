"""Areas: IoU of person and background, and the mean absolute error."""

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.metrics.picture import Float32, UInt8


def confusion(found: UInt8, truth: UInt8) -> NDArray[np.int64]:
    """Count the pixels of two 0/1 pictures (H,W): true positive, false positive, false negative, true negative."""
    both, either = cv2.countNonZero(found & truth), cv2.countNonZero(found | truth)
    positives, persons = cv2.countNonZero(found), cv2.countNonZero(truth)
    return np.array([both, positives - both, persons - both, found.size - either], np.int64)


def iou(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Intersection over union in [0,1] of the person and of the background, from the counts of `confusion`."""
    hit, extra, missed, rest = (int(count) for count in counts)
    return ratio(hit, extra + missed), ratio(rest, extra + missed)


def ious(counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same of many at once: counts (...,4) -> two of (...)."""
    hit, extra, missed, rest = np.moveaxis(counts, -1, 0)
    person, background = (
        np.divide(right, right + extra + missed, where=right + extra + missed > 0, out=np.ones(right.shape)) for right in (hit, rest)
    )
    return person, background


def mae(prob: Float32, mask: UInt8) -> float:
    """Mean absolute error in [0,1] of a prob (H,W) against a soft mask (H,W), 0 to 255."""
    return float(np.abs(prob - mask.astype(np.float32) / 255).mean(dtype=np.float64))


def ratio(right: int, wrong: int) -> float:
    """The share of `right`; 1 where there is nothing to count."""
    return right / (right + wrong) if right + wrong else 1.0
