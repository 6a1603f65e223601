"""Layers with soft edges, and the canvas on which they are laid one over another.

Outlines are (N,2) arrays of x, y in pixels, pixel centres at whole numbers; x runs right and y down. `shapes` makes them.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating[Any]]
Rows = Sequence[Sequence[float] | Points]

Choice = TypeVar("Choice")

SHIFT = 4  # binary places of a pixel that OpenCV draws with


class Patch(NamedTuple):
    """One layer's alpha, cropped to the part of the picture that it touches."""

    alpha: Float
    """(h,w) in [0,1]."""
    rows: slice
    cols: slice

    def scaled(self, factor: float) -> "Patch":
        """The same patch, more see-through."""
        return Patch(self.alpha * np.float32(factor), self.rows, self.cols)


class Frame(NamedTuple):
    """A coordinate system of a body part: its own units to pixels."""

    origin: Points
    axes: Points
    """(2,2): a unit step along the part's x (first column) and y (second column), in pixels."""

    def __call__(self, points: Rows | Points) -> Points:
        """(N,2) in the part's units to (N,2) in pixels."""
        moved: Points = np.asarray(points, np.float32) @ self.axes.T + self.origin
        return moved

    @property
    def unit(self) -> float:
        """Pixels a unit, along y."""
        return float(np.hypot(self.axes[0, 1], self.axes[1, 1]))


def frame(origin: Points, unit: float, angle: float, squeeze: float = 1.0) -> Frame:
    """A frame turned by `angle` (radians, clockwise on the screen), its x axis shortened to `squeeze`."""
    cos, sin = np.cos(angle), np.sin(angle)
    axes = np.array([[cos * squeeze, -sin], [sin * squeeze, cos]], np.float32) * np.float32(unit)
    return Frame(np.asarray(origin, np.float32), axes)


class Canvas:
    """A see-through picture: colours weighted by their alpha, and the alpha, so that laying it over a background is exact."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.planes: Float = np.zeros((4, size, size), np.float32)
        """Red, green, blue (each times alpha) and alpha, in [0,255]."""

    def over(self, patch: Patch, colour: Float) -> None:
        """Lay `colour` ((3,) or the patch's own (3,h,w), in [0,255]) over the canvas: the silhouette grows by the patch."""
        view = self.planes[:, patch.rows, patch.cols]
        colour = colour if colour.ndim == 3 else colour[:, None, None]
        view[:3] += patch.alpha * (colour - view[:3])
        view[3] += patch.alpha * (255.0 - view[3])

    def atop(self, patch: Patch, colour: Float) -> None:
        """Lay `colour` over what is there already, within the silhouette: the canvas's alpha stays as it is."""
        view = self.planes[:, patch.rows, patch.cols]
        colour = colour if colour.ndim == 3 else colour[:, None, None]
        view[:3] += patch.alpha * (colour * (view[3] * np.float32(1 / 255)) - view[:3])

    def shade(self, patch: Patch, factor: float) -> None:
        """Multiply the colours by `factor` where the patch is opaque."""
        self.planes[:3, patch.rows, patch.cols] *= 1.0 + patch.alpha * np.float32(factor - 1.0)


def fill(size: int, *outlines: Points, holes: Sequence[Points] = (), soft: float = 0.0, margin: float = 0.0) -> Patch:
    """The union of closed outlines, less the holes.

    Args:
        size: side of the picture in pixels.
        *outlines: each (N,2) in pixels.
        holes: outlines of what is cut out again.
        soft: standard deviation of a blur of the edge in pixels.
        margin: further pixels around it that the patch takes in.
    """
    patch, origin, mask = _sheet(size, np.concatenate(outlines), 2 + 2.5 * soft + margin)
    if patch.alpha.size:
        for outline in outlines:
            cv2.fillPoly(mask, [_fixed(outline, origin)], 255, cv2.LINE_AA, SHIFT)
        for hole in holes:
            cv2.fillPoly(mask, [_fixed(hole, origin)], 0, cv2.LINE_AA, SHIFT)
        _to_alpha(mask, patch.alpha, soft)
    return patch


def strokes(size: int, lines: Sequence[Points] | Points, width: float, soft: float = 0.0) -> Patch:
    """Open lines of one width; a line thinner than a pixel is drawn one pixel wide and fainter.

    Args:
        size: side of the picture in pixels.
        lines: (M,N,2), or M arrays of (N,2), in pixels.
        width: in pixels.
        soft: standard deviation of a blur in pixels.
    """
    patch, origin, mask = _sheet(
        size, lines.reshape(-1, 2) if isinstance(lines, np.ndarray) else np.concatenate(lines), 2 + width + 2.5 * soft
    )
    if patch.alpha.size:
        value = min(255.0, 255.0 * max(width, 0.25))
        fixed = list(_fixed(lines, origin)) if isinstance(lines, np.ndarray) else [_fixed(line, origin) for line in lines]
        cv2.polylines(mask, fixed, False, value, max(1, round(width)), cv2.LINE_AA, SHIFT)
        _to_alpha(mask, patch.alpha, soft)
    return patch


def within(patch: Patch, other: Patch) -> Patch:
    """The part of `patch` that lies in `other`."""
    rows = slice(max(patch.rows.start, other.rows.start), min(patch.rows.stop, other.rows.stop))
    cols = slice(max(patch.cols.start, other.cols.start), min(patch.cols.stop, other.cols.stop))
    if rows.start >= rows.stop or cols.start >= cols.stop:
        return Patch(np.zeros((0, 0), np.float32), slice(0, 0), slice(0, 0))
    return Patch(_crop(patch, rows, cols) * _crop(other, rows, cols), rows, cols)


def relief(patch: Patch, light: Points, radius: float, depth: float = 1.0) -> Float:
    """How light falls on the patch if it bulges: a factor around 1, (h,w).

    Args:
        patch: what is lit.
        light: (2,) where the light comes from; its length is the contrast.
        radius: how far from its edge the patch curves, in pixels.
        depth: how much the edges darken on all sides.
    """
    if not patch.alpha.size:
        return np.ones((1, 1), np.float32)
    height, width = patch.alpha.shape
    step = max(1.0, radius / 4)  # a smooth field: worked out on a coarse grid
    coarse = (max(3, round(width / step)), max(3, round(height / step)))
    bulge = soften(cv2.resize(patch.alpha, coarse, interpolation=cv2.INTER_AREA), radius / step / 2)
    slope = _slopes() @ -light  # the derivative towards the light
    slope[1, 1] += 0.35 * depth
    factor = cv2.filter2D(bulge, cv2.CV_32F, slope, delta=1 - 0.3 * depth)
    lit: Float = cv2.resize(np.maximum(factor, 0.35), (width, height), interpolation=cv2.INTER_LINEAR)
    return lit


def soften(pixels: Any, sigma: float) -> Any:
    """A picture or a plane, blurred by about `sigma` pixels: box filters, which are several times as fast as a Gaussian."""
    if sigma < 0.35:
        return pixels
    side = 3 if sigma < 1.3 else 2 * round((math.sqrt(6 * sigma * sigma + 1) - 1) / 2) + 1
    once = cv2.blur(pixels, (side, side), borderType=cv2.BORDER_REPLICATE)
    return once if sigma < 0.95 else cv2.blur(once, (side, side), borderType=cv2.BORDER_REPLICATE)


def pick(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of the choices, each as likely as the next."""
    return choices[int(rng.integers(len(choices)))]


@cache
def _slopes() -> Float:
    """(3,3,2): a kernel for the slope along x, and one for the slope along y."""
    sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32) / 2
    return np.stack([sobel, sobel.T], 2)


def _fixed(points: Points, origin: Points) -> npt.NDArray[np.int32]:
    return ((points - origin) * (1 << SHIFT)).astype(np.int32)


def _sheet(size: int, points: Points, margin: float) -> tuple[Patch, Points, Bytes]:
    """An empty patch around the points, where its corner lies, and a mask to draw it on."""
    left, top = points.min(0).tolist()
    right, bottom = points.max(0).tolist()
    rows, cols = _span(top, bottom, margin, size), _span(left, right, margin, size)
    shape = (rows.stop - rows.start, cols.stop - cols.start)
    origin = np.array([cols.start, rows.start], np.float32)
    return Patch(np.empty(shape, np.float32), rows, cols), origin, np.zeros(shape, np.uint8)


def _span(low: float, high: float, margin: float, size: int) -> slice:
    start = min(max(int(low - margin), 0), size)
    return slice(start, min(max(int(high + margin) + 2, start), size))


def _to_alpha(mask: Bytes, alpha: Float, soft: float) -> None:
    mask = soften(mask, soft)
    np.multiply(mask, np.float32(1 / 255), out=alpha)


def _crop(patch: Patch, rows: slice, cols: slice) -> Float:
    top, left = patch.rows.start, patch.cols.start
    return patch.alpha[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
