"""Who stands where: the sizes, colours and frames that all parts of a figure share."""

from dataclasses import dataclass

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.cloth import Cloth, cloth
from portraitseg.data.drawn.drawing import Float, Frame, Points, Rows, frame


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person.

    Both frames measure in head heights. `head`: origin at the chin's tip, crown at y = -1. `body`: origin at the pit of the neck.
    """

    size: int
    """Side of the picture in pixels."""
    rng: np.random.Generator
    head: Frame
    body: Frame
    yaw: float
    """How far the face looks to the picture's right, radians."""
    light: Points
    """(2,) where the light comes from; its length is the contrast."""
    wide: float
    """Half width of the head."""
    jaw: float
    """Width of the jaw relative to the usual one."""
    shoulders: float
    """Half width of the shoulders."""
    skin: Float
    hair: Float
    cloth: Cloth
    """What the garment is made of."""

    @property
    def unit(self) -> float:
        """Head height in pixels."""
        return self.head.unit

    def turned(self, points: Rows | Points, bulge: float = 1.0) -> Points:
        """Features on the face, (N,2) in head heights as seen from the front, moved as the head turns by `yaw`; to pixels.

        A feature that stands out from the face (`bulge` > 1: the nose, a visor) moves farther.
        """
        flat = np.array(points, np.float32)
        radius = np.float32(self.wide * 1.08)
        sideways = np.arcsin(np.minimum(np.maximum(flat[:, 0] / radius, -1), 1)) + np.float32(self.yaw * bulge)
        flat[:, 0] = radius * np.sin(np.minimum(np.maximum(sideways, -1.5), 1.5))
        return self.head(flat)


def sample(rng: np.random.Generator, size: int, light: Points, *, place: tuple[float, float, float]) -> Person:
    """Draw a person's traits and pose.

    Args:
        rng: the picture's source of chance.
        size: side of the picture in pixels.
        light: (2,) where the light comes from.
        place: x and y of the chin as shares of the picture, and the head's height as a share of it.
    """
    unit = place[2] * size
    lean, tilt = rng.normal(0, 0.07), rng.normal(0, 0.13)
    yaw = float(np.clip(rng.normal(0, 0.3), -0.8, 0.8))
    chin = np.array([place[0], place[1]], np.float32) * size
    body = frame(chin, unit, lean, squeeze=rng.uniform(0.8, 1.0))
    pit = body([(rng.normal(0, 0.06) - 0.12 * yaw, rng.uniform(0.2, 0.38))])[0]
    return Person(
        size=size,
        rng=rng,
        head=frame(chin, unit, lean + tilt),
        body=body._replace(origin=pit),
        yaw=yaw,
        light=light,
        wide=rng.uniform(0.335, 0.4),
        jaw=rng.uniform(0.88, 1.12),
        shoulders=rng.uniform(0.82, 1.15),
        skin=colours.skin(rng),
        hair=colours.hair(rng),
        cloth=cloth(rng, size, unit, colours.cloth(rng), lean),
    )
