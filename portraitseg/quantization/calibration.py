"""The calibration set: the pictures that set the ranges of post-training quantization."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portraitseg import image
from portraitseg.card import Card, InputSpec
from portraitseg.data.sources import Source
from portraitseg.errors import InputError


def draw(total: int, count: int, *, seed: int) -> list[int]:
    """Draw `count` of `total` indices so that they cover the set: one at random from each of `count` equal stretches.

    Names that belong together lie together in a set, so every group gets its share; a plain draw may miss one.

    Returns:
        Ascending indices, all of them when there are no more than `count`.
    """
    if total <= count:
        return list(range(total))
    edges = np.arange(count + 1) * total // count
    offsets = np.random.default_rng(seed).random(count) * np.diff(edges)
    return [int(low + offset) for low, offset in zip(edges[:-1], offsets, strict=True)]


@dataclass(frozen=True, kw_only=True)
class CalibrationSet:
    """Pictures of a source, prepared for the net one at a time, plain (no augmentation)."""

    source: Source
    indices: Sequence[int]
    card: Card

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        """Inputs (1,h,w,C) in the card's range.

        The first picture's first and last pixel become black and white, so that the range of the input is exactly that of a byte
        and not that of the pictures drawn. A prior channel holds the true mask in every second picture: left empty in all of them, it
        would have no range.

        Raises:
            InputError: a picture is broken, or there is none.
        """
        if not self.indices:
            raise InputError("the calibration set is empty; give a folder with pictures: --data DIR")
        for number, index in enumerate(self.indices):
            picture, mask = self.source.load(index)
            x = image.to_input(picture, self.card)[None]
            if number == 0:
                x[0, 0, 0, :3], x[0, -1, -1, :3] = input_range(self.card.input)
            if self.card.channels == 4 and number % 2:
                x[0, ..., 3] = image.fit_mask(mask, self.card.size, self.card.fit).astype(np.float32) / 255
            yield x


def input_range(spec: InputSpec) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the bytes 0 and 255 become, channel by channel: two arrays (3,)."""
    mean, std = np.asarray(spec.mean), np.asarray(spec.std)
    return (0 - mean) / std, (255 - mean) / std
