"""Global colour transfer (Reinhard 2001, doi:10.1109/38.946629): the person's colours get the background's mean and spread in Lab."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.compose.harmonize import person_box
from portraitseg.compose.shrink import shrink

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]

SIDE = 96
"""Longer side of the copies that the statistics are taken from, in pixels."""
LEAST, MOST = np.array([0.5, 0, 0]), 2.0
"""The least (of L, a and b) and the most that a channel's spread is multiplied by: before a plain wall a person would lose all contrast,
and one in a plain coat would become noise before a colourful one. Colour may go, as it must before a grey wall: half of it kept, about
another mean, would be other hues."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the Lab values of a part of a picture, on OpenCV's scale of bytes."""

    mean: Float
    """(3,)."""
    spread: Float
    """(3,), standard deviations."""

    def towards(self, other: "Statistics", share: float) -> "Statistics":
        """Between this (share 0) and another (share 1)."""
        return Statistics(self.mean + share * (other.mean - self.mean), self.spread + share * (other.spread - self.spread))


class ColourTransfer:
    """Moves the person's colours towards the background's; over the frames of a video without flicker."""

    def __init__(self, *, strength: float = 0.6, memory: float = 0.0) -> None:
        """Prepare.

        Args:
            strength: 0 changes nothing, 1 gives the person the background's statistics entirely.
            memory: share of the statistics that is kept from frame to frame, in [0,1): 0.9 for a video, 0 for unrelated pictures.
        """
        self.strength, self.memory = strength, memory
        self._person: Statistics | None = None
        self._behind: tuple[UInt8, Statistics] | None = None

    def __call__(self, image: UInt8, alpha: UInt8, background: UInt8) -> UInt8:
        """Transfer.

        Args:
            image: RGB (H,W,3).
            alpha: (H,W).
            background: RGB (H,W,3); where it is the same object as before, its statistics are not taken again.

        Returns:
            RGB (H,W,3); changed within the rectangle about the person.
        """
        return transfer(image, alpha, self._statistics(image, alpha), self._scene(background), strength=self.strength)

    def _statistics(self, image: UInt8, alpha: UInt8) -> Statistics:
        """The person's, with what is remembered."""
        fresh = statistics(image, alpha)
        if self._person is not None:
            fresh = fresh.towards(self._person, self.memory)
        self._person = fresh
        return fresh

    def _scene(self, background: UInt8) -> Statistics:
        if self._behind is None or self._behind[0] is not background:
            fresh = statistics(background)
            if self._behind is not None:
                fresh = fresh.towards(self._behind[1], self.memory)
            self._behind = background, fresh
        return self._behind[1]


def transfer(image: UInt8, alpha: UInt8, person: Statistics, scene: Statistics, *, strength: float = 1.0) -> UInt8:
    """Move RGB (H,W,3) from the person's statistics towards the scene's, within the rectangle about the person, alpha (H,W)."""
    box = person_box(alpha)
    if box is None:
        return image
    values = np.arange(256)[:, None]
    ratio = np.clip(scene.spread / np.maximum(person.spread, 1e-3), LEAST, MOST)
    moved = (values - person.mean) * ratio + scene.mean
    tables = np.clip(np.round(values + strength * (moved - values)), 0, 255).astype(np.uint8)  # 256,3: what becomes of L, a and b
    out = image.copy()
    lab = cv2.LUT(cv2.cvtColor(np.ascontiguousarray(image[box]), cv2.COLOR_RGB2Lab), tables[None])
    out[box] = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    return out


def statistics(image: UInt8, alpha: UInt8 | None = None) -> Statistics:
    """Mean and spread in Lab of RGB (H,W,3), weighted with alpha (H,W); a weight of 0 everywhere counts as 1 everywhere."""
    scale = min(1.0, SIDE / max(image.shape[:2]))
    size = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    lab = cv2.cvtColor(shrink(image, size), cv2.COLOR_RGB2Lab).reshape(-1, 3).astype(np.float64)
    weight = None if alpha is None else shrink(alpha, size).reshape(-1).astype(np.float64)
    weight = weight if weight is not None and weight.any() else None
    mean = np.average(lab, axis=0, weights=weight)
    return Statistics(mean, np.sqrt(np.average((lab - mean) ** 2, axis=0, weights=weight)))
