"""Things before the figure: FOREGROUNDS, each a patch and its colour."""

from collections.abc import Callable

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.drawing import Float, Patch, Points, fill, pick
from portraitseg.data.drawn.scene import Scene
from portraitseg.data.drawn.shapes import ellipse
from portraitseg.data.drawn.textures import clouds


def desk(scene: Scene) -> tuple[Patch, Float]:
    """A table's edge at the bottom."""
    top, slope = scene.uniform(0.82, 0.96), scene.rng.normal(0, 0.03)
    outline = np.array([(-0.1, top), (1.1, top + slope), (1.1, 1.1), (-0.1, 1.1)], np.float32) * scene.size
    return fill(scene.size, outline, soft=0.6), scene.wood() if scene.chance(0.7) else scene.colour()


def laptop(scene: Scene) -> tuple[Patch, Float]:
    """The lid of the laptop that the person sits at."""
    x, top, half = scene.uniform(0.3, 0.7), scene.uniform(0.76, 0.92), scene.uniform(0.15, 0.28)
    outline = np.array([(x - half, top), (x + half, top), (x + half * 1.05, 1.1), (x - half * 1.05, 1.1)], np.float32) * scene.size
    return fill(scene.size, outline, soft=0.6), np.full(3, scene.uniform(30, 210), np.float32)


def leaf(scene: Scene) -> tuple[Patch, Float]:
    """Something green, near and out of focus, in a corner."""
    x, y, reach = pick(scene.rng, [0.0, 1.0]), pick(scene.rng, [0.1, 1.0]), scene.uniform(0.1, 0.25)
    outline: Points = ellipse(x, y, reach, reach * 0.5, scene.uniform(0, 3)) * np.float32(scene.size)
    return fill(scene.size, outline, soft=scene.size * 0.02), colours.rgb(scene.uniform(0.2, 0.4), 0.6, scene.uniform(0.2, 0.7))


def microphone(scene: Scene) -> tuple[Patch, Float]:
    """A microphone on its arm, below the face."""
    x, y = scene.chin[0] + scene.uniform(-0.5, 0.5) * scene.unit, scene.chin[1] + scene.uniform(0.15, 0.6) * scene.unit
    ball = ellipse(x, y, scene.unit * 0.1, scene.unit * 0.13) * np.float32(scene.size)
    pole = np.array([(x - 0.012, y), (x + 0.012, y), (x + 0.03, 1.1), (x - 0.03, 1.1)], np.float32) * scene.size
    return fill(scene.size, ball, pole, soft=0.4), np.full(3, scene.uniform(15, 60), np.float32)


FOREGROUNDS: dict[str, Callable[[Scene], tuple[Patch, Float]]] = {"desk": desk, "laptop": laptop, "leaf": leaf, "microphone": microphone}


def rough(scene: Scene, patch: Patch, colour: Float) -> Float:
    """The patch's colour with some texture, (3,h,w)."""
    field = clouds(scene.rng, scene.size, 5, 3)[patch.rows, patch.cols]
    return np.clip(colour[:, None, None] * (1 + np.float32(0.08) * field), 0, 255)
