"""Alpha blending: cut-out, composite, and backgrounds to put behind the person.

An alpha (H,W) is float32 in [0,1] or its 8-bit form, uint8 0..255. Work goes through bands of rows, so that a picture of
100 megapixels needs no float copy of itself.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.compose.bokeh import blur as blur_background
from portraitseg.compose.fit import fitted

__all__ = ["Alpha", "blend", "blur_background", "cover", "cut_out", "soft_alpha"]

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Alpha = UInt8 | Float32

BAND = 1 << 18  # pixels that are worked on at once: a few MB in float32


def soft_alpha(prob: Float32, *, low: float = 0.1, high: float = 0.9) -> UInt8:
    """The 8-bit alpha of a prob (H,W): smoothstep(low, high), so that "almost surely background" becomes fully transparent.

    A prob enlarged from a net's size has a wide ramp at the edge and a faint veil elsewhere; this narrows the one and removes the other.
    It keeps 0.5 where it is if `low` + `high` = 1.
    """
    alpha = np.empty(prob.shape, np.uint8)
    for rows in _bands(prob.shape):
        t = np.clip((prob[rows] - np.float32(low)) / np.float32(high - low), 0, 1)
        alpha[rows] = t * t * (3 - 2 * t) * 255 + np.float32(0.5)
    return alpha


def blend(image: UInt8, alpha: Alpha, background: UInt8) -> UInt8:
    """Mix alpha * image + (1 - alpha) * background, on the stored (gamma-coded) values, as picture editors do by default.

    Args:
        image: RGB (H,W,3).
        alpha: (H,W).
        background: RGB (H,W,3), or one colour (3,).
    """
    behind = np.broadcast_to(background, image.shape)
    out = np.empty_like(image)
    for rows in _bands(alpha.shape):
        weight = _as_float(alpha[rows])
        out[rows] = cv2.blendLinear(np.ascontiguousarray(image[rows]), np.ascontiguousarray(behind[rows]), weight, 1 - weight)
    return out


def cut_out(image: UInt8, alpha: UInt8) -> UInt8:
    """The person as RGBA (H,W,4) with straight (not premultiplied) colours.

    Where alpha is 0 the colours are 0 too: the file gets smaller, and the background cannot be brought back from it.
    """
    rgba = np.empty((*alpha.shape, 4), np.uint8)
    for rows in _bands(alpha.shape):
        rgba[rows, :, :3] = cv2.bitwise_and(image[rows], image[rows], mask=alpha[rows])
        rgba[rows, :, 3] = alpha[rows]
    return rgba


def cover(background: UInt8, size: tuple[int, int]) -> UInt8:
    """Fill `size` (H,W) with a picture: the largest centred part of the same proportions, resized."""
    return fitted(background, size, "crop")


def _as_float(alpha: Alpha) -> Float32:
    return np.asarray(alpha * np.float32(1 / 255) if alpha.dtype == np.uint8 else alpha, np.float32)


def _bands(shape: Any) -> Iterator[slice]:
    """Slices of rows of about `BAND` pixels."""
    step = max(1, BAND // shape[1])
    return (slice(row, row + step) for row in range(0, shape[0], step))
