"""How a background of another shape fills the frame."""

import numpy as np

from portraitseg.compose.bokeh import blur
from portraitseg.compose.shrink import shrink
from portraitseg.image import UInt8

FITS = ("crop", "fill", "fit")


def fitted(picture: UInt8, size: tuple[int, int], fit: str, border: str = "blur") -> UInt8:
    """Bring RGB (h,w,3) to `size` (H,W), in memory of its own.

    Args:
        picture: what stands behind.
        size: of the frame.
        fit: one of FITS: "crop" fills the frame with the largest centred part of the same proportions, "fill" stretches, "fit" shows
            all of it.
        border: of "fit": "blur", the picture itself, filling the frame and blurred, or "black".
    """
    if fit == "fill":
        return _resized(picture, size)
    filling = _resized(_centre(picture, size), size) if fit == "crop" or border == "blur" else np.zeros((*size, 3), np.uint8)
    if fit == "crop":
        return filling
    out = blur(filling) if border == "blur" else filling
    scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
    height, width = (max(1, min(full, round(side * scale))) for side, full in zip(picture.shape[:2], size, strict=True))
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    out[top : top + height, left : left + width] = _resized(picture, (height, width))
    return out


def flat(colour: UInt8, size: tuple[int, int]) -> UInt8:
    """A picture (H,W,3) of one colour, read-only. All rows are the same memory: to copy it reads next to nothing."""
    return np.broadcast_to(np.full((1, size[1], 3), colour, np.uint8), (*size, 3))


def _centre(picture: UInt8, size: tuple[int, int]) -> UInt8:
    """The largest centred part with the proportions of `size`."""
    height, width = picture.shape[:2]
    rows = min(height, max(1, round(width * size[0] / size[1])))
    columns = min(width, max(1, round(height * size[1] / size[0])))
    top, left = (height - rows) // 2, (width - columns) // 2
    return picture[top : top + rows, left : left + columns]


def _resized(picture: UInt8, size: tuple[int, int]) -> UInt8:
    out = shrink(picture, size)
    return out.copy() if out.base is not None or out is picture else out
