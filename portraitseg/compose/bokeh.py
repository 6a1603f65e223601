"""The background out of focus, by a soft blur or by a lens's discs of light, without the person's colours in it.

Each pixel is a mean of the background around it, weighted with 1 - alpha (colours premultiplied, and the blurred weights divided out),
so the person does not bleed into it, also where the alpha misses the edge by a little (`MARGIN`). Under the person the background
continues from the sides. A blurred picture holds no detail, so the work is done on a small copy.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.compose.shrink import shrink

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]

SIGMA = 0.03
"""Of the soft blur, as a share of the longer side."""
RADIUS = 0.02
"""Of the lens's discs, likewise."""
WORKING_SIGMA = 3.0
"""The soft blur is made at the size where its sigma is so many pixels: bilinear enlargement then leaves nothing to see."""
WORKING_RADIUS = 4.0
"""The same for discs, whose rims are sharp."""
LARGEST = 320
"""Longer side of the small copy at the most, in pixels: a weak blur is made there too, so none is weaker than that copy enlarged."""
MARGIN = 0.012
"""How far around the person nothing is taken, as a share of the longer side: nets miss the edge by about that much."""
HIGHLIGHT = 40.0
"""How many times a white pixel outweighs a dark one: lights in the scene are brighter than a picture's white, and shine through a disc."""
TRUST = np.float32(1e-3)
"""Weight of the whole background's mean, which takes over far from any background."""


def blur(image: UInt8, alpha: UInt8 | None = None, *, strength: float = 1.0) -> UInt8:
    """The background of RGB (H,W,3) behind a person, alpha (H,W), under a Gaussian of `strength` times SIGMA; without alpha, all of it."""
    return _blurred(image, alpha, strength * SIGMA, WORKING_SIGMA, lens=False)


def lens(image: UInt8, alpha: UInt8 | None = None, *, strength: float = 1.0) -> UInt8:
    """The same through a lens: discs with a radius of `strength` times RADIUS, in which lights stand out."""
    return _blurred(image, alpha, strength * RADIUS, WORKING_RADIUS, lens=True)


def _blurred(image: UInt8, alpha: UInt8 | None, reach: float, working: float, *, lens: bool) -> UInt8:
    height, width = image.shape[:2]
    longer = max(height, width)
    if reach * longer < 0.5:
        return image.copy()
    scale = min(1.0, LARGEST / longer, working / (reach * longer))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = shrink(image, size)
    weight = np.ones(size, np.float32) if alpha is None else _background(shrink(alpha, size), int(np.ceil(MARGIN * max(size))))
    if not weight.any():  # nothing of the background is seen; then anything may be behind the person, but it should not be black
        weight[:] = 1
    radius = reach * longer * scale
    mean = _through_lens(small, weight, radius) if lens else _soft(small, weight, radius)
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _background(alpha: UInt8, margin: int) -> Float32:
    """The background's weight, from 1 down to 0 where a quarter is the person's, after that has grown by `margin` pixels.

    A small copy's pixel holds the person's colours, too, where it is part person: it has to weigh less than its share of background.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    grown = cv2.dilate(alpha, disc).astype(np.float32)
    return np.asarray(cv2.max(1 - grown * np.float32(4 / 255), 0), np.float32)


def _soft(image: UInt8, weight: Float32, sigma: float) -> UInt8:
    """Gaussian mean of RGB (h,w,3), weighted."""
    packed, taps = _premultiplied(image.astype(np.float32), weight), 1 + 2 * int(np.ceil(2.5 * sigma))
    return _to_bytes(_divided(cv2.GaussianBlur(packed, (taps, taps), sigma), packed))


def _through_lens(image: UInt8, weight: Float32, radius: float) -> UInt8:
    """Mean of RGB (h,w,3) over a disc, weighted, in linear light (a lens adds up light, not a picture's gamma-coded values)."""
    light = np.asarray(cv2.LUT(image, LIGHT), np.float32)
    red, green, blue = cv2.split(image)
    boost = np.asarray(cv2.LUT(cv2.max(cv2.max(red, green), blue), BOOST), np.float32)  # numpy's maximum takes ten times as long
    packed = _premultiplied(light, weight * boost)
    return _to_bytes(255 * cv2.sqrt(_divided(cv2.filter2D(packed, -1, _disc(radius), borderType=cv2.BORDER_REFLECT), packed)))


LIGHT = ((np.arange(256) / 255) ** 2).astype(np.float32)
"""Byte -> light in [0,1]; the square, whose root is fast, is near enough to sRGB's curve."""
BOOST = (1 + (HIGHLIGHT - 1) * np.clip((np.arange(256) - 100) / 150, 0, 1) ** 3).astype(np.float32)
"""Byte of the brightest colour -> weight; rises early, since a small copy shows small lights dimmer than they are."""


def _disc(radius: float) -> Float32:
    """Kernel (n,n) of sum 1: a disc whose rim is soft enough to be enlarged without steps."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    inside = np.clip((radius - np.hypot(x, y)) / 1.5 + 0.5, 0, 1).astype(np.float32)
    return np.asarray(inside / inside.sum(), np.float32)


def _premultiplied(colours: Float32, weight: Float32) -> Float32:
    """Colours times weight, and the weight, (h,w,4)."""
    return np.asarray(cv2.merge([*(channel * weight for channel in cv2.split(colours)), weight]), np.float32)


def _divided(blurred: Float32, packed: Float32) -> Float32:
    """Blurred colours (h,w,3) over blurred weights; far from any weight, the weighted mean of the whole picture."""
    *mean, share = cv2.mean(packed)
    *colours, weight = cv2.split(blurred)
    divisor = weight + TRUST
    return np.asarray(cv2.merge([(part + TRUST * value / share) / divisor for part, value in zip(colours, mean, strict=True)]), np.float32)


def _to_bytes(values: Float32) -> UInt8:
    return np.asarray(cv2.convertScaleAbs(values), np.uint8)
