"""Noise and fabric patterns over the whole picture, (H,W) fields and (3,H,W) colours."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.drawing import Float

Rng = np.random.Generator


@cache
def grid(size: int) -> tuple[Float, Float]:
    """x and y of every pixel, (1,W) and (H,1), in [0,1]."""
    steps = (np.arange(size, dtype=np.float32) + 0.5) / size
    steps.flags.writeable = False  # shared by all threads
    return steps[None, :], steps[:, None]


def noise(rng: Rng, size: int, cells: int, stretch: float = 1.0) -> Float:
    """Smooth noise of mean 0 and standard deviation around 0.7, (H,W): `cells` bumps across, `stretch` times as many down."""
    coarse = rng.standard_normal((max(2, round(cells * stretch)), max(2, cells)), np.float32)
    field: Float = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
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
    return np.clip(wave * np.float32(sharp) + 0.5, 0, 1)


def _axes(rng: Rng, size: int, period: float, angle: float) -> tuple[Float, Float]:
    """Turned coordinates in radians, one turn a `period` pixels."""
    x, y = grid(size)
    turns = np.float32(2 * np.pi * size / max(period, 3.0))
    cos, sin = np.float32(np.cos(angle)) * turns, np.float32(np.sin(angle)) * turns
    start = rng.uniform(0, 6, 2).astype(np.float32)
    return x * cos + y * sin + start[0], y * cos - x * sin + start[1]


def stripes(rng: Rng, size: int, period: float, angle: float) -> Float:
    """Bands along one axis."""
    _, across = _axes(rng, size, period, angle)
    return edge(np.sin(across) - np.float32(rng.uniform(-0.6, 0.6)), rng.choice([1.5, 4.0]))


def pinstripes(rng: Rng, size: int, period: float, angle: float) -> Float:
    """Thin upright lines."""
    along, _ = _axes(rng, size, period * 0.6, angle)
    return edge(np.sin(along) - np.float32(0.85), 5.0)


def checks(rng: Rng, size: int, period: float, angle: float) -> Float:
    """Squares of two colours."""
    along, across = _axes(rng, size, period, angle)
    return edge(np.sin(along) * np.sin(across), 6.0)


def plaid(rng: Rng, size: int, period: float, angle: float) -> Float:
    """Crossing bands with thin lines between them."""
    along, across = _axes(rng, size, period * 1.6, angle)
    bands = edge(np.sin(along), 3.0) + edge(np.sin(across), 3.0)
    lines = edge(np.sin(along * 2 + 1) - np.float32(0.9), 6.0) + edge(np.sin(across * 2 + 1) - np.float32(0.9), 6.0)
    return np.clip(bands * np.float32(0.4) + lines * np.float32(0.5), 0, 1)


def dots(rng: Rng, size: int, period: float, angle: float) -> Float:
    """Round spots."""
    along, across = _axes(rng, size, period, angle + 0.78)
    return edge(np.sin(along) * np.sin(across) - np.float32(rng.uniform(0.3, 0.7)), 7.0)


def zigzag(rng: Rng, size: int, period: float, angle: float) -> Float:
    """Knitted zigzag."""
    along, across = _axes(rng, size, period, angle)
    return edge(np.sin(across + np.float32(2) * np.arcsin(np.sin(along))), 3.0)


def blotches(rng: Rng, size: int, period: float, angle: float) -> Float:
    """Camouflage, flowers, batik: noise cut at a level."""
    return edge(clouds(rng, size, max(3, min(40, round(size / max(period, 3.0)))), 2), rng.choice([1.0, 5.0]))


PATTERNS: dict[str, Callable[[Rng, int, float, float], Float]] = {
    "stripes": stripes,
    "pinstripes": pinstripes,
    "checks": checks,
    "plaid": plaid,
    "dots": dots,
    "zigzag": zigzag,
    "blotches": blotches,
}


def fabric(rng: Rng, size: int, unit: float, colour: Float, angle: float = 0.0, plain: float = 0.5) -> Float:
    """Cloth, (3,H,W) in [0,255]: plain or patterned, with folds.

    Args:
        rng: the picture's source of chance.
        size: side of the picture in pixels.
        unit: the wearer's head height in pixels; patterns and folds grow with it.
        colour: the ground colour.
        angle: how far the pattern is turned, radians.
        plain: share of cloth without a pattern.
    """
    cells = max(2, round(size / max(unit, 1.0) * 2.5))
    folds = 1.0 + np.float32(rng.uniform(0.04, 0.14)) * noise(rng, size, min(cells, 64), rng.uniform(0.4, 0.8))
    if rng.random() < plain:
        return np.clip(colour[:, None, None] * folds, 0, 255)
    pattern = PATTERNS[rng.choice(list(PATTERNS))]
    weight = pattern(rng, size, unit * rng.uniform(0.1, 0.45), angle)
    return np.clip(blend(colour, colours.cloth(rng), weight) * folds, 0, 255)
