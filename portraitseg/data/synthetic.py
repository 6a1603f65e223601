"""The embedded data set: portraits drawn on the fly, with an exact soft alpha.

Nothing here is a photograph. The pictures teach a net what a figure is (head, hair, clothes, hands) well enough to try the whole
toolkit without a download; a model for real use wants real pictures: `--data DIR`. How the figure is drawn lies in `drawn/`.
"""

from typing import NamedTuple

import cv2
import numpy as np

from portraitseg.data.drawn import backgrounds, camera, figure, foregrounds, props
from portraitseg.data.drawn.drawing import Bytes, Canvas, Float, Points, pick, soften
from portraitseg.data.drawn.person import Person, sample
from portraitseg.data.drawn.scene import Scene
from portraitseg.data.drawn.textures import grid
from portraitseg.errors import InputError

DESCRIPTION = "synthetic portraits, drawn on the fly with an exact mask: no photographs; --data DIR takes real pictures"

TWO = 0.12  # share of pictures with a second person
OCCLUDED = 0.1  # share with something before the figure
LIKE = 0.3  # share where the background takes the figure's colours


class Layers(NamedTuple):
    """A picture before the camera: `image = figure + (1 - alpha) * background`, exactly."""

    figure: Float
    """(3,H,W) in [0,255], weighted by alpha."""
    alpha: Float
    """(H,W) in [0,1]."""
    background: Float
    """(3,H,W) in [0,255]."""

    def composed(self) -> Float:
        """The figure over the background, (3,H,W)."""
        composed: Float = (1 - self.alpha) * self.background
        composed += self.figure
        return composed


class Synthetic:
    """Drawn portraits; a picture depends on nothing but the seed, its index and its size. Safe to use from several threads."""

    def __init__(self, count: int, *, seed: int, size: int = 256) -> None:
        """Describe the set; nothing is drawn yet.

        Args:
            count: number of pictures.
            seed: sets with different seeds share no picture.
            size: side of the square pictures in pixels.

        Raises:
            InputError: the count is below 1, the seed below 0 or the size below 32.
        """
        if count < 1 or seed < 0 or size < 32:
            raise InputError(
                f"a synthetic set needs a count of at least 1, a seed of at least 0 and a size of at least 32, got {count}, {seed}, {size}"
            )
        self.count, self.seed, self.size = count, seed, size

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """The picture's name, such as synthetic-0-17."""
        return f"synthetic-{self.seed}-{index}"

    def load(self, index: int) -> tuple[Bytes, Bytes]:
        """Draw a picture.

        Returns:
            image: (size,size,3) RGB.
            mask: (size,size), the figure's alpha in [0,255].
        """
        rng = self._rng(index)
        layers = draw(rng, self.size)
        return camera.expose(rng, layers.composed()), np.rint(layers.alpha * 255).astype(np.uint8)

    def layers(self, index: int) -> Layers:
        """What `load` composes, before the camera's effects."""
        return draw(self._rng(index), self.size)

    def _rng(self, index: int) -> np.random.Generator:
        if not 0 <= index < self.count:
            raise IndexError(f"picture {index} of a synthetic set of {self.count}")
        return np.random.default_rng([self.seed, index])


def draw(rng: np.random.Generator, size: int) -> Layers:
    """One picture's layers: figure, background, what stands before them, light and focus."""
    angle, contrast = rng.uniform(-np.pi, 0), rng.gamma(3, 0.2)
    light = np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(contrast)
    canvas = Canvas(size)
    person, chin, unit = _draw_people(rng, canvas, light)
    near = np.stack([person.skin, person.cloth.ground, person.hair])
    scene = Scene(rng=rng, size=size, near=near, likeness=0.6 if rng.random() < LIKE else 0.05, chin=chin, unit=unit)
    soft = rng.uniform(-0.4, 0.9) * size / 256
    background = _draw_background(scene, canvas, soft)
    _light(rng, canvas, background, light)
    if rng.random() < OCCLUDED:
        _draw_foreground(scene, canvas, background)
    for plane in canvas.planes:
        plane[:] = camera.blur(plane, soft)
    return Layers(canvas.planes[:3], canvas.planes[3] * np.float32(1 / 255), background)


def _draw_people(rng: np.random.Generator, canvas: Canvas, light: Points) -> tuple[Person, tuple[float, float], float]:
    """One person or two; returns the front one, where its chin is, and its head's height, as shares of the picture."""
    unit = float(np.clip(np.exp(rng.normal(-1.1, 0.37)), 0.13, 0.75))
    x = float(np.clip(rng.normal(0.5, 0.13), 0.08, 0.92))
    y = min(unit * rng.uniform(0.85, 1.25) + rng.uniform(0, 0.3) * (1 - unit), 0.9)
    if rng.random() < TWO:
        unit *= 0.8
        side = pick(rng, [-1, 1]) * unit * rng.uniform(1.2, 2.2)
        x -= side / 2
        other = unit * rng.uniform(0.8, 1.05)
        figure.draw_figure(canvas, sample(rng, canvas.size, light, place=(x + side, y + rng.normal(0, 0.06), other)))
    person = sample(rng, canvas.size, light, place=(x, y, unit))
    figure.draw_figure(canvas, person)
    return person, (x, y), unit


def _draw_background(scene: Scene, canvas: Canvas, soft: float) -> Float:
    """A ground with up to four props on it, tilted at times, and the figure's shadow; (3,H,W) in [0,255]."""
    rng, size = scene.rng, scene.size
    image = pick(rng, list(backgrounds.BACKGROUNDS.values()))(scene)
    for _ in range(rng.integers(0, 5) if rng.random() < 0.75 else 0):
        pick(rng, list(props.PROPS.values()))(scene, image)
    if rng.random() < 0.4:
        tilt = cv2.getRotationMatrix2D((size / 2, size / 2), rng.normal(0, 6), rng.uniform(1.0, 1.4))
        image = cv2.warpAffine(image, tilt, (size, size), borderMode=cv2.BORDER_REFLECT)
    image = camera.blur(image, soft + (rng.gamma(1.2, 0.011) * size if rng.random() < 0.6 else 0))  # never sharper than the figure
    planes: Float = np.array(cv2.split(image), np.float32)
    if rng.random() < 0.2:
        _cast_shadow(rng, canvas, planes)
    return planes


def _cast_shadow(rng: np.random.Generator, canvas: Canvas, planes: Float) -> None:
    """Darken the wall where the figure's shadow falls on it."""
    size = canvas.size
    small = cv2.resize(canvas.planes[3], (size // 4, size // 4), interpolation=cv2.INTER_AREA)
    moved = np.array([[1, 0, rng.normal(0, 0.06) * size / 4], [0, 1, rng.uniform(0, 0.06) * size / 4]], np.float32)
    small = soften(cv2.warpAffine(small, moved, (size // 4, size // 4), borderMode=cv2.BORDER_REPLICATE), rng.uniform(0.6, 5))
    planes *= 1 - cv2.resize(small, (size, size)) * np.float32(rng.uniform(0.2, 0.6) / 255)


def _light(rng: np.random.Generator, canvas: Canvas, background: Float, light: Points) -> None:
    """One side brighter than the other, on figure and background; the background's own brightness."""
    x, y = grid(canvas.size)
    strength = rng.uniform(0, 0.5)
    ramp = (1 + np.float32(strength) * ((x - 0.5) * light[0] + (y - 0.5) * light[1])).astype(np.float32)
    canvas.planes[:3] *= np.clip(ramp, 0.5, 1.4) * np.float32(rng.uniform(0.85, 1.1))
    background *= np.clip(ramp if rng.random() < 0.6 else 2 - ramp, 0.4, 1.5) * np.float32(rng.uniform(0.65, 1.15))


def _draw_foreground(scene: Scene, canvas: Canvas, background: Float) -> None:
    """Something before the figure: it is cut out of the figure and becomes background."""
    patch, colour = pick(scene.rng, list(foregrounds.FOREGROUNDS.values()))(scene)
    if patch.alpha.size:
        canvas.planes[:, patch.rows, patch.cols] *= 1 - patch.alpha
        view = background[:, patch.rows, patch.cols]
        view += patch.alpha * (foregrounds.rough(scene, patch, colour) - view)
