"""What backgrounds and props share: where the figure is, and colours that may be like its own."""

from dataclasses import dataclass

import cv2
import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.drawing import SHIFT, Bytes, Float, Points, Rows


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture's surroundings."""

    rng: np.random.Generator
    size: int
    """Side of the picture in pixels."""
    near: Float
    """(N,3): the figure's colours."""
    likeness: float
    """Share of the things behind the figure that take one of its colours."""
    chin: tuple[float, float]
    """x and y of the figure's chin as shares of the picture."""
    unit: float
    """Head height as a share of the picture."""

    def colour(self) -> Float:
        """Any colour, or one close to the figure's."""
        if self.rng.random() < self.likeness:
            return self.like()
        return colours.cloth(self.rng) if self.rng.random() < 0.6 else colours.wall(self.rng)

    def wall(self) -> Float:
        """A wall's colour, or one close to the figure's."""
        return self.like() if self.rng.random() < self.likeness else colours.wall(self.rng)

    def wood(self) -> Float:
        """The colour of wood."""
        return colours.wood(self.rng)

    def like(self) -> Float:
        """One of the figure's colours, a little changed."""
        colour = self.near[self.rng.integers(len(self.near))] * self.rng.normal(1, 0.06, 3) + self.rng.normal(0, 8)
        return np.asarray(np.clip(colour, 0, 255), np.float32)

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """True in that share of the calls."""
        return bool(self.rng.random() < share)


def polygon(image: Bytes, points: Rows | Points, colour: Float) -> None:
    """Fill a polygon whose points are shares of the picture."""
    fixed = np.round(np.asarray(points, np.float32) * (image.shape[0] << SHIFT)).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour.tolist(), cv2.LINE_AA, SHIFT)


def box(image: Bytes, left: float, top: float, right: float, bottom: float, colour: Float) -> None:
    """Fill an upright rectangle whose sides are shares of the picture."""
    size = image.shape[0]
    cv2.rectangle(image, (round(left * size), round(top * size)), (round(right * size), round(bottom * size)), colour.tolist(), -1)


def disc(image: Bytes, x: float, y: float, rx: float, ry: float, colour: Float, angle: float = 0.0) -> None:
    """Fill an ellipse in shares of the picture; `angle` in degrees."""
    size = image.shape[0]
    axes = (max(1, round(rx * size)), max(1, round(ry * size)))
    cv2.ellipse(image, (round(x * size), round(y * size)), axes, angle, 0, 360, colour.tolist(), -1, cv2.LINE_AA)


def line(image: Bytes, points: Rows | Points, colour: Float, width: float) -> None:
    """An open line; points and width are shares of the picture."""
    size = image.shape[0]
    fixed = np.round(np.asarray(points, np.float32) * (size << SHIFT)).astype(np.int32)
    cv2.polylines(image, [fixed], False, colour.tolist(), max(1, round(width * size)), cv2.LINE_AA, SHIFT)
