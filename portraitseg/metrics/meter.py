"""Collects the scores of pictures."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portraitseg.errors import InputError
from portraitseg.metrics.f_beta import curves, max_f
from portraitseg.metrics.picture import Float32, Picture, UInt8, refuse_nan
from portraitseg.metrics.region import confusion, iou
from portraitseg.metrics.table import BASIC, STILL, select


class Meter:
    """Collects pictures: a row each, and the figures of the whole set.

    Over the set, the IoUs are those of all pixels pooled (large pictures weigh more), max F is the largest along the mean curves, and
    all others are the means over pictures.
    """

    def __init__(self, metrics: str | Iterable[str] = BASIC, *, boundary: bool = True) -> None:
        """Measure `metrics` (names of STILL, or "all"); with `boundary=False` all of them but boundary F.

        Raises:
            InputError: a name is not known.
        """
        self.rows: list[dict[str, Any]] = []
        self.metrics = tuple(name for name in select(metrics) if boundary or name != "boundary_f")
        self.counts: list[NDArray[np.int64]] = []
        """Of each picture's pixels, as `confusion` gives them; none without an IoU among the metrics."""
        self._curves = np.zeros((2, 256))

    def add(self, name: str, prob: Float32, mask: UInt8) -> dict[str, Any]:
        """Score one picture.

        Args:
            name: the picture's, for the row.
            prob: (H,W) in [0,1].
            mask: (H,W), 0 to 255, 255 = person.

        Returns:
            {"name"} and the metrics asked for, by default {"iou", "miou", "mae", "boundary_f"}; units as in docs/metrics.md.

        Raises:
            InputError: the prob holds NaN.
            ValueError: the shapes differ.
        """
        if prob.shape != mask.shape:
            raise ValueError(f"prob and mask of {name} must be of one shape, got {prob.shape} and {mask.shape}; resize the prob first")
        refuse_nan(name, prob)
        picture = Picture(prob, mask)
        pooled = self._pool(picture)
        scores = {key: pooled[key] if (score := STILL[key].score) is None else score(picture) for key in self.metrics}
        self.rows.append({"name": name, **scores})
        return self.rows[-1]

    def summary(self) -> dict[str, float]:
        """The figures of the whole set, in the units of `add`.

        Raises:
            InputError: no picture was added.
        """
        if not self.rows:
            raise InputError("there is no picture to score; give a folder that holds at least one pair of picture and mask")
        pooled = {
            **_ious(sum(self.counts, start=np.zeros(4, np.int64))),
            "max_f": 100 * max_f(self._curves / len(self.rows)),
        }
        return {key: pooled[key] if key in pooled else float(np.mean([row[key] for row in self.rows])) for key in self.metrics}

    def _pool(self, picture: Picture) -> dict[str, float]:
        """Add a picture to what is pooled over the set; its own scores."""
        scores = {}
        if {"iou", "miou"} & set(self.metrics):
            counts = confusion(picture.found, picture.truth)
            self.counts.append(counts)
            scores = _ious(counts)
        if "max_f" in self.metrics:
            pair = curves(picture.prob, picture.truth)
            self._curves += pair
            scores["max_f"] = 100 * max_f(pair)
        return scores


def _ious(counts: np.ndarray) -> dict[str, float]:
    person, background = iou(counts)
    return {"iou": 100 * person, "miou": 50 * (person + background)}
