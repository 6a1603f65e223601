"""What lens, light and sensor do: focus before the figure is laid over the background, the rest after."""

from functools import cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np

from portraitseg.data.drawn.drawing import Bytes, Float, soften
from portraitseg.data.drawn.textures import grid

Rng = np.random.Generator


def blur(pixels: Any, sigma: float) -> Any:
    """A plane (H,W) or a picture (H,W,3) out of focus by `sigma` pixels; a strong blur is worked out on a coarse grid."""
    if sigma < 2:
        return soften(pixels, sigma)
    size = pixels.shape[0]
    side = max(8, round(size / sigma))
    coarse = soften(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), 1.0)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)


def expose(rng: Rng, planes: Float) -> Bytes:
    """The finished scene, (3,H,W) in [0,255], as a camera stores it, (H,W,3): colour cast, contrast, vignette, grain."""
    size = planes.shape[1]
    contrast = rng.uniform(0.8, 1.15)
    gain = np.clip(rng.normal(1, 0.06, 3), 0.8, 1.2) * rng.uniform(0.8, 1.15) * contrast
    lift = (1 - contrast) * 110 + rng.uniform(-10, 18)
    mix = np.tile([0.3, 0.59, 0.11], (3, 1)) if rng.random() < 0.06 else np.eye(3)  # black and white at times
    if rng.random() < 0.4:
        planes = planes * (1 - np.float32(rng.uniform(0.1, 0.6)) * _far(size))
    developed = cv2.transform(cv2.merge([*planes]), np.concatenate([gain[:, None] * mix, np.full((3, 1), lift)], 1))
    stored: Bytes = cv2.addWeighted(to_bytes(developed), 1.0, grain(rng, size, rng.gamma(1.5, 2.0)), 1.0, -128.0)
    return stored


def grain(rng: Rng, size: int, sigma: float) -> Bytes:
    """Normal noise around 128, (H,W,3), from a table of the normal distribution's 256 steps: several times as fast as drawing it."""
    steps = np.frombuffer(rng.bytes(size * size * 3), np.uint8).reshape(size, size, 3)
    speckle: Bytes = cv2.LUT(steps, np.clip(np.rint(128 + _normal() * sigma), 0, 255).astype(np.uint8))
    return speckle


def to_bytes(pixels: Float) -> Bytes:
    """Rounded and cut to [0,255]."""
    rounded: Bytes = cv2.add(pixels, np.zeros(4), dtype=cv2.CV_8U)
    return rounded


@cache
def _normal() -> Float:
    return np.array([NormalDist().inv_cdf((step + 0.5) / 256) for step in range(256)], np.float32)


@cache
def _far(size: int) -> Float:
    """Squared distance from the middle, 1 in the corners."""
    x, y = grid(size)
    return ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2
