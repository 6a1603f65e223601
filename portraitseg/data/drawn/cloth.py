"""Cloth: a colour or a pattern of two, with folds; worked out only where it is laid."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.drawing import Float, Patch, pick
from portraitseg.data.drawn.textures import Rng, edge, grid, noise

Pattern = Callable[[Float, Float, float], Float]


def stripes(along: Float, across: Float, level: float) -> Float:
    """Bands along one axis. Every pattern maps turned coordinates, in radians, to [0,1]; `level` in [0,1] varies it."""
    return edge(np.sin(across) - np.float32(1.2 * level - 0.6), 2 + 2 * level)


def pinstripes(along: Float, across: Float, level: float) -> Float:
    """Thin upright lines."""
    return edge(np.sin(along * np.float32(1.7)) - np.float32(0.85), 5.0)


def checks(along: Float, across: Float, level: float) -> Float:
    """Squares of two colours."""
    return edge(np.sin(along) * np.sin(across), 6.0)


def plaid(along: Float, across: Float, level: float) -> Float:
    """Crossing bands with thin lines between them."""
    weight = np.zeros_like(along)
    for wave in (np.sin(along * np.float32(0.6)), np.sin(across * np.float32(0.6))):
        weight += np.float32(0.4) * edge(wave, 3.0)
        weight += np.float32(0.4) * (1 - edge(np.abs(wave + np.float32(0.6)) - np.float32(0.15), 8.0))
    return np.minimum(weight, 1)


def dots(along: Float, across: Float, level: float) -> Float:
    """Round spots."""
    return edge(np.sin(along) * np.sin(across) - np.float32(0.3 + 0.4 * level), 7.0)


def zigzag(along: Float, across: Float, level: float) -> Float:
    """Knitted zigzag."""
    return edge(np.sin(across + np.float32(2) * np.arcsin(np.sin(along))), 3.0)


def blotches(along: Float, across: Float, level: float) -> Float:
    """Camouflage, flowers, batik."""
    bend = along + np.float32(2) * np.sin(across * np.float32(0.37))
    wave = np.sin(bend * np.float32(0.53)) + np.sin(across * np.float32(0.61) + np.float32(2) * np.sin(bend * np.float32(0.29)))
    return edge(wave - np.float32(level), 3.0)


PATTERNS: dict[str, Pattern] = {
    "stripes": stripes,
    "pinstripes": pinstripes,
    "checks": checks,
    "plaid": plaid,
    "dots": dots,
    "zigzag": zigzag,
    "blotches": blotches,
}


@dataclass(frozen=True)
class Weave:
    """A pattern at a place, a size and an angle."""

    pattern: Pattern
    period: float
    """In pixels."""
    angle: float
    """Radians."""
    start: tuple[float, float]
    level: float

    def weight(self, size: int, rows: slice, cols: slice) -> Float:
        """Share of the second colour in a part of a picture of side `size`, (h,w)."""
        x, y = grid(size)
        x, y = x[:, cols], y[rows]
        turns = 2 * np.pi * size / max(self.period, 3.0)
        cos, sin = np.float32(np.cos(self.angle) * turns), np.float32(np.sin(self.angle) * turns)
        start = np.array(self.start, np.float32)
        return self.pattern(x * cos + (y * sin + start[0]), y * cos + (start[1] - x * sin), self.level)


def weave(rng: Rng, period: float, angle: float) -> Weave:
    """Any pattern of that period in pixels."""
    return Weave(pick(rng, list(PATTERNS.values())), period, angle, (rng.uniform(0, 6), rng.uniform(0, 6)), rng.random())


@dataclass(frozen=True)
class Cloth:
    """What a garment is made of."""

    ground: Float
    second: Float
    weave: Weave | None
    folds: Float
    """(H,W) brightness, around 1."""

    def on(self, patch: Patch) -> Float:
        """The patch's part of the cloth, (3,h,w)."""
        folds = self.folds[patch.rows, patch.cols]
        if self.weave is None:
            return self.ground[:, None, None] * folds
        colour = (self.second - self.ground)[:, None, None] * self.weave.weight(len(self.folds), patch.rows, patch.cols)
        colour += self.ground[:, None, None]
        colour *= folds
        return colour

    def times(self, factor: float) -> "Cloth":
        """The same cloth, brighter or darker."""
        return Cloth(self.ground * np.float32(factor), self.second * np.float32(factor), self.weave, self.folds)


def cloth(rng: Rng, size: int, unit: float, ground: Float, angle: float = 0.0, plain: float = 0.5) -> Cloth:
    """Cloth for one picture.

    Args:
        rng: the picture's source of chance.
        size: side of the picture in pixels.
        unit: the wearer's head height in pixels; patterns and folds grow with it.
        ground: the ground colour.
        angle: how far the pattern is turned, radians.
        plain: share of cloth without a pattern.
    """
    cells = min(64, max(2, round(size / max(unit, 1.0) * 2.5)))
    folds = noise(rng, size, cells, rng.uniform(0.4, 0.8))
    folds *= np.float32(rng.uniform(0.04, 0.14))
    folds += np.float32(1)
    pattern = None if rng.random() < plain else weave(rng, unit * rng.uniform(0.1, 0.45), angle)
    return Cloth(ground, colours.cloth(rng), pattern, folds)


def on(patch: Patch, material: Cloth | Float) -> Float:
    """A cloth's or a colour's (3,) part under a patch, (3,h,w) or (3,1,1)."""
    return material.on(patch) if isinstance(material, Cloth) else material[:, None, None]
