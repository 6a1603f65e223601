"""Pairs to learn harmonization from: a picture whose person was recoloured, and as it was (Tsai 2017, arXiv:1703.00069)."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from portraitseg import image as pictures
from portraitseg.data.recolour import recolour
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.image import UInt8

LEAST = 0.01
"""Share of a picture that its person must fill: less is nothing to learn from."""


class Pair(NamedTuple):
    """Pictures (H,W,3) or batches of them (N,H,W,3), with masks of one dimension less."""

    composite: UInt8
    mask: UInt8
    target: UInt8


def make_pair(picture: UInt8, mask: UInt8, random: np.random.Generator) -> Pair:
    """Recolour the person of RGB (H,W,3) under its mask (H,W); the picture is the target."""
    weight = mask * np.float32(1 / 255)
    composite = cv2.blendLinear(recolour(picture, random), np.ascontiguousarray(picture), weight, 1 - weight)
    return Pair(np.asarray(composite, np.uint8), mask, picture)


def vary(picture: UInt8, mask: UInt8, random: np.random.Generator) -> tuple[UInt8, UInt8]:
    """Another picture of the same: half of them mirrored, and all a little recoloured as a whole."""
    if random.random() < 0.5:
        picture, mask = np.ascontiguousarray(picture[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    return recolour(picture, random, strength=0.5), mask


@dataclass(frozen=True)
class Stored:
    """Pictures with masks at a net's size, in a file on disk that the system keeps in memory as far as there is room."""

    samples: UInt8
    """(N,size,size,4): RGB and mask."""

    @staticmethod
    def of(source: Source, size: int, progress: object = None) -> "Stored":
        """Read a source once; pictures whose person is smaller than LEAST are left out.

        Args:
            source: pictures with masks.
            size: of the net's input, in pixels.
            progress: called as `progress(indices)`, gives them one by one and shows a bar.

        Raises:
            InputError: a file is broken, or no picture has a person in it.
        """
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the map holds it, and it goes with the map
        samples = np.memmap(file, np.uint8, "w+", shape=(len(source), size, size, 4))
        count = 0
        for index in progress(range(len(source))) if callable(progress) else range(len(source)):
            picture, mask = source.load(index)
            if mask.mean() >= 255 * LEAST:
                samples[count, ..., :3] = pictures.resize(picture, (size, size))
                samples[count, ..., 3] = pictures.resize(mask, (size, size))
                count += 1
        if not count:
            raise InputError(f"none of the {len(source)} masks has a person in it; give a folder of portraits with masks: --data DIR")
        return Stored(samples[:count])

    def __len__(self) -> int:
        return len(self.samples)

    def batches(self, size: int, *, seed: int, epoch: int) -> Iterator[Pair]:
        """Varied pairs in an order that depends on seed and epoch alone; each batch whole, so the last pictures may be left out.

        Args:
            size: pictures in a batch; no more than there are.
            seed: of the run.
            epoch: from 0.
        """
        order = np.random.default_rng([seed, epoch]).permutation(len(self))
        for start in range(0, len(self) - size + 1, size):
            yield self._batch([self._varied(index, seed, epoch) for index in order[start : start + size]])

    def pairs(self, *, seed: int) -> Iterator[Pair]:
        """Every picture as it is, with one fixed change of its person, in batches of up to 32."""
        for start in range(0, len(self), 32):
            indices = range(start, min(start + 32, len(self)))
            yield self._batch([make_pair(*self._sample(index), np.random.default_rng([seed, index])) for index in indices])

    def _varied(self, index: int, seed: int, epoch: int) -> Pair:
        random = np.random.default_rng([seed, epoch, index])
        return make_pair(*vary(*self._sample(index), random), random)

    def _sample(self, index: int) -> tuple[UInt8, UInt8]:
        sample = np.asarray(self.samples[index])
        return np.ascontiguousarray(sample[..., :3]), np.ascontiguousarray(sample[..., 3])

    @staticmethod
    def _batch(pairs: list[Pair]) -> Pair:
        return Pair(*(np.stack(part) for part in zip(*pairs, strict=True)))
