"""Figures of `errors.py`: where false pixels lie, and what subsets cost."""

from collections.abc import Collection, Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.image import UInt8
from portraitseg.metrics import iou

REACHES = (2, 5, 10, 20)  # pixels from the true edge
EDGE = REACHES.index(5)  # what errors.csv calls the edge

Counts = NDArray[np.int64]
"""As of `metrics.confusion`."""


def distance(truth: UInt8) -> NDArray[np.float32]:
    """Pixels from each pixel of a 0/1 mask (H,W) to the nearest of the other kind: 1 on both sides of an edge."""
    inside, outside = (cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in (truth, 1 - truth))
    return np.asarray(inside + outside)


def summary(pictures: int, counts: Counts, near: Counts) -> Iterator[str]:
    """Where the false pixels of so many pictures lie, of which there are so many within each of `REACHES`."""
    _, extra, missed, _ = counts
    false = max(extra + missed, 1)
    yield f"{pictures} pictures, mIoU {miou(counts):.2f}, {100 * (extra + missed) / counts.sum():.2f}% of the pixels false"
    yield f"of these, taken for a person: {100 * extra / false:.0f}%, missed: {100 * missed / false:.0f}%"
    yield "within {}, {}, {}, {} px of the true edge: ".format(*REACHES) + ", ".join(f"{100 * part / false:.0f}%" for part in near)


def costs(counts: Mapping[str, Counts], subsets: Mapping[str, Collection[str]]) -> Iterator[str]:
    """A line a subset: pictures, its own mIoU, its share of all false pixels, and what it costs."""
    total = sum(counts.values(), np.zeros(4, np.int64))
    for subset, names in subsets.items():
        inside = [counts[name] for name in sorted(set(names) & counts.keys())]
        _, extra, missed, _ = own = sum(inside, np.zeros(4, np.int64))
        gain = miou(total + np.array([missed, -extra, -missed, extra])) - miou(total)
        share = 100 * (extra + missed) / max(total[1] + total[2], 1)
        yield f"{subset}: {len(inside)} pictures, mIoU {miou(own):.2f}, {share:.1f}% of the false pixels, costs {gain:.2f} points"


def miou(counts: Counts) -> float:
    """Mean of both classes in %, from the counts of `metrics.confusion`."""
    return 50 * sum(iou(counts))
