"""Another camera, another light: a picture's colours changed as a whole, at random."""

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.image import UInt8

SHARE = 0.7
"""Of the pictures, for each kind of change."""
STOPS = 0.6
"""Standard deviation of the exposure, in steps of twice the light."""
WARMTH = 0.2
"""Of the light's colour, red against blue, in steps of twice the light; of green against both, half of it."""
GAMMA = 0.2
"""Of the tone curve's exponent, as a factor exp(...)."""
CONTRAST = 0.25
"""Of the contrast about the middle tone, likewise."""
SATURATION = 0.35
"""Of the saturation, likewise."""
MOST = 2.0
"""Standard deviations; what would lie further out is drawn in."""
GREY = np.array([0.299, 0.587, 0.114])
"""Weights of R, G and B in a grey of the same lightness (ITU-R BT.601)."""


def recolour(image: UInt8, random: np.random.Generator, *, strength: float = 1.0) -> UInt8:
    """Change exposure, white balance, gamma, contrast and saturation of RGB (H,W,3), each in a share of the pictures.

    Args:
        image: what to change.
        random: draws the changes.
        strength: 1 as the constants above say.
    """
    stops, warmth, tint, gamma, contrast, saturation = strength * _draw(random, 6)
    gains = np.exp2(STOPS * stops + WARMTH * np.array([warmth, tint / 2, -warmth]))
    tones = np.minimum((np.arange(256) / 255)[:, None] ** 2.2 * gains, 1) ** (np.exp(GAMMA * gamma) / 2.2)  # light, then back
    tones = 0.5 + (tones - 0.5) * np.exp(CONTRAST * contrast)
    curves = np.clip(np.round(255 * tones), 0, 255).astype(np.uint8)
    return np.asarray(cv2.transform(cv2.LUT(image, curves[None]), _saturation(np.exp(SATURATION * saturation))), np.uint8)


def _draw(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Numbers of standard deviation 1 in `SHARE` of the cases, else 0."""
    return np.clip(random.standard_normal(count), -MOST, MOST) * (random.random(count) < SHARE)


def _saturation(factor: float) -> NDArray[np.float32]:
    """The matrix that takes each colour away from its grey."""
    return np.asarray(factor * np.eye(3) + (1 - factor) * GREY, np.float32)
