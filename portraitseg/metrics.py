"""How well a prob agrees with a mask: IoU of the person, mIoU of both classes, MAE and boundary F. NumPy and OpenCV alone.

A prob above 0.5 and a mask value above 127 are person. Where there is nothing to find and nothing was found, the score is full: two
pictures without a person have an IoU of 100, two without an edge (all person, all background) a boundary F of 100. If only one of
them has a person (an edge), the score is 0.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.errors import InputError

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]

TOLERANCE = 0.0075
"""How far apart two boundaries may lie and still count as equal, as a part of the picture's diagonal."""


class Meter:
    """Collects pictures: a row each, and the figures of the whole set.

    Over the set, the IoUs are those of all pixels pooled (large pictures weigh more), MAE and boundary F the means over pictures.
    """

    def __init__(self, *, boundary: bool = True) -> None:
        """Leave out boundary F, the slowest of the four, with `boundary=False`."""
        self.rows: list[dict[str, Any]] = []
        self._boundary = boundary
        self._counts = np.zeros(4, np.int64)

    def add(self, name: str, prob: Float32, mask: UInt8) -> dict[str, Any]:
        """Score one picture.

        Args:
            name: the picture's, for the row.
            prob: (H,W) in [0,1].
            mask: (H,W), 0 to 255, 255 = person.

        Returns:
            {"name", "iou", "miou", "mae", "boundary_f"}; MAE in [0,1], the others in percent.

        Raises:
            InputError: the prob holds NaN.
            ValueError: the shapes differ.
        """
        if prob.shape != mask.shape:
            raise ValueError(f"prob and mask of {name} must be of one shape, got {prob.shape} and {mask.shape}; resize the prob first")
        found, truth = (prob > 0.5).astype(np.uint8), (mask > 127).astype(np.uint8)
        counts = confusion(found, truth)
        row: dict[str, Any] = {"name": name, **_ious(counts), "mae": mae(prob, mask)}
        if np.isnan(row["mae"]):
            raise InputError(f"the model's output for {name} holds NaN; its weights are broken or its input has another range")
        if self._boundary:
            row["boundary_f"] = 100 * boundary_f(found, truth)
        self._counts += counts
        self.rows.append(row)
        return row

    def summary(self) -> dict[str, float]:
        """The figures of the whole set: {"iou", "miou", "mae", "boundary_f"}, in the units of `add`.

        Raises:
            InputError: no picture was added.
        """
        if not self.rows:
            raise InputError("there is no picture to score; give a folder that holds at least one pair of picture and mask")
        result = {**_ious(self._counts), "mae": float(np.mean([row["mae"] for row in self.rows]))}
        if self._boundary:
            result["boundary_f"] = float(np.mean([row["boundary_f"] for row in self.rows]))
        return result


def confusion(found: UInt8, truth: UInt8) -> NDArray[np.int64]:
    """Count the pixels of two 0/1 pictures (H,W): true positive, false positive, false negative, true negative."""
    both, either = cv2.countNonZero(found & truth), cv2.countNonZero(found | truth)
    positives, persons = cv2.countNonZero(found), cv2.countNonZero(truth)
    return np.array([both, positives - both, persons - both, found.size - either], np.int64)


def iou(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Intersection over union in [0,1] of the person and of the background, from the counts of `confusion`."""
    hit, extra, missed, rest = (int(count) for count in counts)
    return _ratio(hit, extra + missed), _ratio(rest, extra + missed)


def mae(prob: Float32, mask: UInt8) -> float:
    """Mean absolute error in [0,1] of a prob (H,W) against a soft mask (H,W), 0 to 255."""
    return float(np.abs(prob - mask.astype(np.float32) / 255).mean(dtype=np.float64))


def boundary_f(found: UInt8, truth: UInt8) -> float:
    """F measure in [0,1] of the boundary: harmonic mean of the parts of each edge that lie near the other one.

    The boundary is the outermost ring of person pixels (a 3x3 cross eroded), near is within 0.75% of the diagonal, at least 1 px.
    The rim of the picture is no boundary: a person who is cut off by it has none there.

    Args:
        found: 0/1 (H,W).
        truth: 0/1 (H,W).
    """
    reach = max(1, round(TOLERANCE * float(np.hypot(*truth.shape))))
    edge, true_edge = _edge(found), _edge(truth)
    length, true_length = cv2.countNonZero(edge), cv2.countNonZero(true_edge)
    if not length and not true_length:
        return 1.0
    precision = cv2.countNonZero(edge & _widen(true_edge, reach)) / max(length, 1)
    recall = cv2.countNonZero(true_edge & _widen(edge, reach)) / max(true_length, 1)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _ious(counts: NDArray[np.int64]) -> dict[str, float]:
    person, background = iou(counts)
    return {"iou": 100 * person, "miou": 50 * (person + background)}


def _ratio(right: int, wrong: int) -> float:
    return right / (right + wrong) if right + wrong else 1.0


def _edge(mask: UInt8) -> UInt8:
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    return np.asarray(mask ^ cv2.erode(mask, cross), np.uint8)


def _widen(edge: UInt8, reach: int) -> UInt8:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(edge, disc), np.uint8)
