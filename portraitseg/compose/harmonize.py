"""Fit the person's colours to the scene behind: tone curves and a colour matrix for the whole person, whose numbers a net gives.

So the net may look at a small copy, and the person keeps every pixel of the camera (Ke 2022, arXiv:2207.01322, calls such filters
white-box). `archs.harmonizer` has the net and `training.harmonizer` its training; the same formulas are there as a graph.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]

PIECES = 8
"""Of a tone curve, each a straight line over an equal share of the tones."""
NUMBERS = 3 * (1 + PIECES) + 6
"""That describe a filter: three curves, and what the matrix mixes of each colour into the two others. All 0: nothing changes."""
OFFSET = 0.1
"""Where a curve begins, for a number of 1; of the whole range of tones."""
MIX = 0.25
"""What the matrix mixes in, for a number of 1."""
LIMIT = 2.0
"""No number counts for more: a piece is at the most exp(2) = 7 times as steep as before."""


@dataclass(frozen=True, slots=True)
class ColourFilter:
    """What is done to each pixel on its own."""

    curves: UInt8
    """(256,3): a new tone for each tone of R, G and B."""
    matrix: Float32
    """(3,3), applied after the curves; its rows add up to 1, so that grey stays grey."""

    def __call__(self, image: UInt8) -> UInt8:
        """RGB (H,W,3) -> RGB (H,W,3)."""
        return np.asarray(cv2.transform(cv2.LUT(image, self.curves[None]), self.matrix), np.uint8)


def colour_filter(numbers: Float32, strength: float = 1.0) -> ColourFilter:
    """The filter of `NUMBERS` numbers (33,), of which `strength` in [0,1] is applied."""
    bounded = np.clip(np.float32(strength) * numbers, -LIMIT, LIMIT)
    begins, slopes = np.split(bounded[: 3 * (1 + PIECES)].reshape(3, 1 + PIECES), [1], axis=1)
    corners = np.cumsum(np.hstack([OFFSET * begins, np.exp(slopes) / PIECES]), axis=1)  # 3,9
    tones, knots = np.arange(256) / 255, np.arange(1 + PIECES) / PIECES
    curves = np.stack([np.interp(tones, knots, channel) for channel in corners], axis=1)
    matrix = np.eye(3, dtype=np.float32)
    matrix[~np.eye(3, dtype=bool)] = MIX * bounded[-6:]
    np.fill_diagonal(matrix, 2 - matrix.sum(axis=1))
    return ColourFilter(np.clip(np.round(255 * curves), 0, 255).astype(np.uint8), matrix)


class Box(NamedTuple):
    """The rows and columns that hold all of a person."""

    rows: slice
    columns: slice


def person_box(alpha: UInt8) -> Box | None:
    """Where an alpha (H,W) is not 0; None if nowhere."""
    left, top, width, height = cv2.boundingRect(alpha)
    return Box(slice(top, top + height), slice(left, left + width)) if width and height else None


def filter_person(image: UInt8, alpha: UInt8, change: ColourFilter) -> UInt8:
    """RGB (H,W,3), changed within the rectangle about the person, alpha (H,W); where alpha is 0 it is not to be shown."""
    box = person_box(alpha)
    if box is None:
        return image
    out = image.copy()
    out[box] = change(image[box])
    return out
