"""The One-Euro filter."""

import math

import cv2
import numpy as np

from portraitseg.image import Float32
from portraitseg.live.smoothing.mixing import mix


class OneEuro:
    """A low-pass of each pixel whose cutoff rises with the speed of its prob (Casiez 2012, doi:10.1145/2207676.2208639)."""

    CUTOFF = 0.4  # Hz where nothing changes, at full strength; inversely as the strength
    BETA = 2.0  # Hz more for each unit of prob a second, so too
    SPEED_CUTOFF = 3.0  # Hz, of the speed itself

    def start(self, prob: Float32, seen: Float32) -> None:
        """See `Filter`."""
        self._last, self._prob, self._speed = prob, prob, np.zeros_like(prob)

    def step(self, prob: Float32, seen: Float32, elapsed: float, strength: float) -> Float32:
        """See `Filter`."""
        turn = 2 * math.pi * elapsed  # a low-pass of cutoff f keeps 1 / (1 + turn f) of its old value
        new = 1 - 1 / (1 + turn * self.SPEED_CUTOFF)
        self._speed = cv2.addWeighted(cv2.subtract(prob, self._last), new / elapsed, self._speed, 1 - new, 0)
        kept = np.abs(self._speed)
        kept *= np.float32(turn * self.BETA / strength)
        kept += np.float32(turn * self.CUTOFF / strength + 1)
        np.reciprocal(kept, out=kept)
        self._last, self._prob = prob, mix(prob, self._prob, kept)
        return self._prob
