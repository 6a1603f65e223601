"""The light of the whole picture, which a camera's exposure changes at once."""

import cv2
import numpy as np

from portraitseg.image import Float32, UInt8

EVERY = 4  # px: so far apart are the pixels that are looked at


class Light:
    """How bright the background was when it was learnt."""

    def __init__(self) -> None:
        self._count = 0

    def learn(self, frame: UInt8) -> None:
        """Take a frame (h,w,3) that shows the background alone."""
        grey = _grey(frame)
        if self._count == 0:
            self._mean = np.zeros_like(grey)
        self._count += 1
        cv2.accumulateWeighted(grey, self._mean, 1 / self._count)

    def corrected(self, frame: UInt8, person: UInt8) -> UInt8:
        """The frame (h,w,3), as bright as the background was: by the median factor where `person` (h,w) was 0 in the frame before."""
        ratios = (_grey(frame) / np.maximum(self._mean, 1))[person[::EVERY, ::EVERY] == 0]
        light = float(np.median(ratios)) if ratios.size else 1.0
        return np.asarray(cv2.convertScaleAbs(frame, alpha=1 / light), np.uint8) if light > 0 else frame


def _grey(frame: UInt8) -> Float32:
    blurred = cv2.blur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (EVERY, EVERY))
    return np.ascontiguousarray(blurred[::EVERY, ::EVERY], np.float32)
