"""People cut out and put onto other backgrounds, and backgrounds without anybody."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from portraitseg import image
from portraitseg.data.foreground import Foreground
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.image import Float32, UInt8

STREAM = 5  # keeps these draws apart from those of the augmentation, which start from the same seed
ENLARGED = 1.5  # pictures are composed at so many times the net's longer side: the closest view of the augmentation
CROP = (0.6, 1.0)  # share of the background's sides that is shown
OTHER = (0.7, 1.1)  # height of a further person's picture, as a share of the frame's
NEARER = (0.3, 0.7)  # how far the person's brightness goes to the background's
GAMMA = 1.6  # the most that this may take
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

Sample = tuple[UInt8, UInt8]
Loaded = TypeVar("Loaded")


class Cutout(NamedTuple):
    """A person without background."""

    colours: Float32
    """(H,W,3) in [0,1], not weighted by alpha."""
    alpha: Float32
    """(H,W) in [0,1]."""


class Backgrounds:
    """The pictures of a folder, listed once."""

    def __init__(self, root: Path) -> None:
        """List the folder.

        Raises:
            InputError: there is no such folder, or no picture in it.
        """
        self.paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in image.SUFFIXES and not path.name.startswith("."))
        if not self.paths:
            what = "there is no picture in the folder" if root.is_dir() else "there is no folder"
            raise InputError(f"{what} {root}; --backgrounds takes a folder of pictures without people")

    def crop(self, random: np.random.Generator, size: tuple[int, int]) -> Float32:
        """A random part of a random picture, (h,w,3) in [0,1]; a picture that cannot be read is replaced by the next one."""
        picture = readable(
            lambda index: image.read(self.paths[index]), int(random.integers(len(self.paths))), len(self.paths), "background"
        )
        part = min(picture.shape[0] / size[0], picture.shape[1] / size[1]) * random.uniform(*CROP)
        height, width = (max(1, int(part * side)) for side in size)
        top, left = random.integers(picture.shape[0] - height + 1), random.integers(picture.shape[1] - width + 1)
        crop = picture[top : top + height, left : left + width]
        if random.random() < 0.5:
            crop = crop[:, ::-1]
        return image.resize(np.ascontiguousarray(crop), size).astype(np.float32) / np.float32(255)


class Composer:
    """Turns some of a source's samples into composites and others into backgrounds alone. Thread-safe."""

    def __init__(
        self, source: Source, backgrounds: Backgrounds, size: tuple[int, int], *, composite: float, negatives: float, people: int
    ) -> None:
        """Prepare.

        Args:
            source: where further people come from.
            backgrounds: what is put behind them.
            size: (h,w) of the net.
            composite: share of samples that get another background.
            negatives: share of samples that become a background alone, with an empty mask.
            people: the most in a composite, each number from 1 being as likely.
        """
        self.source, self.backgrounds, self.side = source, backgrounds, round(ENLARGED * max(size))
        self.composite, self.negatives, self.people = composite, negatives, people
        self.foreground = Foreground() if composite else None

    def __call__(self, picture: UInt8, mask: UInt8, seed: int) -> Sample:
        """Compose one sample; a pure function of its arguments and of the files.

        Args:
            picture: RGB (H,W,3).
            mask: (H,W), 0 to 255.
            seed: of all random choices, at least 0.

        Returns:
            The picture and its mask: as they came, or a composite or a background in the picture's shape.
        """
        random = np.random.default_rng([seed, STREAM])
        kind = random.random()
        if kind >= self.negatives + self.composite:
            return picture, mask
        picture, mask = self._smaller(picture, mask)
        ground = self.backgrounds.crop(random, (mask.shape[0], mask.shape[1]))
        if kind < self.negatives:
            return _bytes(ground), np.zeros_like(mask)
        people = [self._cut(picture, mask)]
        people += [self._other(random, (mask.shape[0], mask.shape[1])) for _ in range(random.integers(self.people))]
        people.sort(key=lambda person: float(person.alpha.sum()))  # the larger is nearer
        return compose(ground, [harmonise(person, ground, random.uniform(*NEARER)) for person in people])

    def _smaller(self, picture: UInt8, mask: UInt8) -> Sample:
        """At most `side` pixels a side: the estimate takes its time by the pixel."""
        scale = self.side / max(mask.shape)
        if scale >= 1:
            return picture, mask
        size = (max(1, round(scale * mask.shape[0])), max(1, round(scale * mask.shape[1])))
        return image.resize(picture, size), image.resize(mask, size)

    def _cut(self, picture: UInt8, mask: UInt8) -> Cutout:
        if self.foreground is None:
            raise ValueError("a composer without composites cuts nobody out")
        return Cutout(self.foreground(picture, mask), mask.astype(np.float32) / np.float32(255))

    def _other(self, random: np.random.Generator, size: tuple[int, int]) -> Cutout:
        """Somebody of another sample, placed in a frame of `size`."""
        count = len(self.source)
        sample = readable(self.source.load, int(random.integers(count)), count, "training sample")
        return place(random, self._cut(*self._smaller(*sample)), size)


def compose(ground: Float32, layers: list[Cutout]) -> Sample:
    """Lay people over a background (h,w,3) in [0,1], the last in front: picture (h,w,3) and mask (h,w), bytes."""
    out, free = ground, np.ones(ground.shape[:2], np.float32)
    for colours, alpha in layers:
        out = alpha[..., None] * colours + (1 - alpha[..., None]) * out
        free = free * (1 - alpha)
    return _bytes(out), _bytes(1 - free)


def harmonise(layer: Cutout, ground: Float32, share: float) -> Cutout:
    """Move the person's mean brightness towards the background's, by `share` (0 to 1) of the way between their logarithms.

    By a gamma curve: it burns no light parts, as a factor would.
    """
    weight = max(float(layer.alpha.sum()), 1.0)
    own = float(np.clip(((layer.colours @ LUMA) * layer.alpha).sum() / weight, 0.01, 0.99))
    other = float(np.clip((ground @ LUMA).mean(), 0.01, 0.99))
    gamma = float(np.clip(1 + share * (np.log(other) / np.log(own) - 1), 1 / GAMMA, GAMMA))
    return Cutout(np.asarray(cv2.pow(layer.colours, gamma), np.float32), layer.alpha)


def place(random: np.random.Generator, layer: Cutout, size: tuple[int, int]) -> Cutout:
    """Put a person into a frame of `size` (h,w), standing on its lower side, and never so that a cut edge shows.

    Where the picture's border cuts the person, it comes to lie on the frame's border or outside.
    """
    (height, width), (high, wide) = size, layer.alpha.shape
    solid = layer.alpha > 0.1
    top, bottom, left, right = solid[0].any(), solid[-1].any(), solid[:, 0].any(), solid[:, -1].any()
    scale = max(
        random.uniform(*OTHER) * height / high,
        height / high if top and bottom else 0,
        width / wide if left and right else 0,
    )
    columns = solid.sum(0)
    middle = float(columns @ np.arange(wide)) / max(1, int(columns.sum()))
    x = random.uniform(0, width) - scale * middle
    x = min(x, 0) if left else x
    x = max(x, width - scale * wide) if right else x
    y = height - scale * high
    y = min(y, 0) if top else y
    matrix = np.array([[scale, 0, x + scale / 2 - 0.5], [0, scale, y + scale / 2 - 0.5]])
    colours = cv2.warpAffine(layer.colours, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(layer.alpha, matrix, size[::-1], flags=cv2.INTER_LINEAR)
    return Cutout(np.asarray(colours, np.float32), np.asarray(alpha, np.float32))


def readable(load: Callable[[int], Loaded], index: int, count: int, what: str) -> Loaded:
    """What `load` gives for `index`, or for the next one that can be read, with a warning.

    Raises:
        InputError: none of `count` can be read.
    """
    for step in range(count):
        try:
            return load((index + step) % count)
        except InputError as error:
            warnings.warn(f"{what} replaced by the next one: {error}", stacklevel=2)  # Python shows a text once
    raise InputError(f"none of the {count} {what}s can be read any more; check that their folder is still there")


def _bytes(values: Float32) -> UInt8:
    return np.asarray(np.rint(values * np.float32(255)).clip(0, 255), np.uint8)
