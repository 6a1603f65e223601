"""Alpha blending: cut-out, composite, and backgrounds to put behind the person.

An alpha (H,W) is float32 in [0,1] or its 8-bit form, uint8 0..255. Work goes through bands of rows, so that a picture of
100 megapixels needs no float copy of itself.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg import image as pictures

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Alpha = UInt8 | Float32

BAND = 1 << 18  # pixels that are worked on at once: a few MB in float32
BLUR_SIDE = 384  # a blurred picture holds no detail, so it is made at this size and enlarged
BLUR_SIGMA = 0.03  # of the longer side
MARGIN = 0.012  # of the longer side: how far around the person the blur takes nothing, as nets miss the edge by about that much


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
    height, width = background.shape[:2]
    rows = min(height, max(1, round(width * size[0] / size[1])))
    columns = min(width, max(1, round(height * size[1] / size[0])))
    top, left = (height - rows) // 2, (width - columns) // 2
    return pictures.resize(background[top : top + rows, left : left + columns], size)


def blur_background(image: UInt8, alpha: Alpha) -> UInt8:
    """The picture without the person, blurred: each pixel is a Gaussian mean of the background around it, weighted with 1 - alpha.

    The person's colours do not bleed into it, also where the alpha misses the edge by a little (`MARGIN`). Under the person the
    background continues from the sides.

    Args:
        image: RGB (H,W,3).
        alpha: (H,W).

    Returns:
        RGB (H,W,3).
    """
    height, width = alpha.shape
    scale = min(1.0, BLUR_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = np.asarray(pictures.resize(image, size), np.float32)
    weight = 1 - _grow(_as_float(pictures.resize(alpha, size)), max(1, round(MARGIN * max(size))))
    blurred = _weighted_blur(small, weight, sigma=max(1.0, BLUR_SIGMA * max(size)))
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _weighted_blur(image: Float32, weight: Float32, *, sigma: float) -> UInt8:
    """Blur of image * weight over blur of weight; far from any weight, the weighted mean of the whole picture."""
    total = float(weight.sum())
    mean = np.average(image, axis=(0, 1), weights=weight if total > 0 else None)
    colours, weights = (cv2.GaussianBlur(values, (0, 0), sigma) for values in (image * weight[..., None], weight))
    trust = np.float32(1e-3)
    blurred = (colours + trust * mean.astype(np.float32)) / (weights + trust)[..., None]
    return np.asarray(np.clip(np.round(blurred), 0, 255), np.uint8)


def _grow(alpha: Float32, radius: int) -> Float32:
    """The largest alpha within `radius` pixels."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(alpha, disc), np.float32)


def _as_float(alpha: Alpha) -> Float32:
    return np.asarray(alpha * np.float32(1 / 255) if alpha.dtype == np.uint8 else alpha, np.float32)


def _bands(shape: Any) -> Iterator[slice]:
    """Slices of rows of about `BAND` pixels."""
    step = max(1, BAND // shape[1])
    return (slice(row, row + step) for row in range(0, shape[0], step))
