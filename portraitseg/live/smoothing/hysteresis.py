"""Two thresholds."""

import cv2
import numpy as np

from portraitseg.image import Float32


class Hysteresis:
    """A pixel becomes the person above the upper threshold and is so until its prob falls below the lower one.

    The prob is not cut: at full strength it is raised or lowered by up to a quarter where it is near 0.5, and stays where it is sure.
    """

    BAND = 0.5  # between the thresholds, at full strength; 0.5 lies in the middle

    def start(self, prob: Float32, seen: Float32) -> None:
        """See `Filter`."""
        self._person = prob > 0.5

    def step(self, prob: Float32, seen: Float32, elapsed: float, strength: float) -> Float32:
        """See `Filter`."""
        band = self.BAND * strength
        self._person = (self._person | (prob > 0.5 + band / 2)) & (prob >= 0.5 - band / 2)
        out = np.asarray(cv2.blur(self._person.astype(np.float32), (3, 3)), np.float32)  # no step where neighbours remember otherwise
        out -= np.float32(0.5)
        out *= np.float32(4 * band)
        out *= prob
        out *= 1 - prob
        out += prob
        return np.clip(out, 0, 1, out=out)
