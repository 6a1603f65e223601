"""Noise and ramps over the whole picture: (H,W) fields, and colours mixed by them."""

from functools import cache

import cv2
import numpy as np

from portraitseg.data.drawn.drawing import Float

Rng = np.random.Generator


@cache
def grid(size: int) -> tuple[Float, Float]:
    """Give x and y of every pixel, (1,W) and (H,1), in [0,1]."""
    steps: Float = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    steps.flags.writeable = False  # shared by all threads
    return steps[None, :], steps[:, None]


def noise(rng: Rng, size: int, cells: int, stretch: float = 1.0) -> Float:
    """Smooth noise of mean 0 and standard deviation around 0.7, (H,W): `cells` bumps across, `stretch` times as many down."""
    coarse = rng.standard_normal((max(2, round(cells * stretch)), max(2, cells)), np.float32)
    if cells < size / 8:
        coarse = cv2.resize(coarse, (size // 4, size // 4), interpolation=cv2.INTER_CUBIC)
    field: Float = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
    return field


def clouds(rng: Rng, size: int, cells: int, octaves: int) -> Float:
    """Noise of several sizes, each finer one weaker, (H,W); each octave is added on the next one's grid, which is cheap."""
    field = rng.standard_normal((cells, cells), np.float32)
    for octave in range(1, octaves):
        side = min(size, cells << octave)
        field = cv2.resize(field, (side, side), interpolation=cv2.INTER_LINEAR)
        field += rng.standard_normal((side, side), np.float32) * np.float32(0.6**octave)
    smooth: Float = cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR)
    return smooth


def blend(first: Float, second: Float, weight: Float) -> Float:
    """Colours (3,) mixed by a (H,W) weight of the second in [0,1], (3,H,W)."""
    mixed: Float = first[:, None, None] + (second - first)[:, None, None] * weight
    return mixed


def edge(wave: Float, sharp: float) -> Float:
    """A wave around 0 to [0,1] with a slope of `sharp`: stripes with soft edges."""
    slope: Float = np.minimum(np.maximum(wave * np.float32(sharp) + np.float32(0.5), 0), 1)
    return slope
