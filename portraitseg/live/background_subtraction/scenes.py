"""What is known of the background: the kinds of background subtraction."""

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.image import Float32, UInt8

FOLLOW = 0.02  # how far the background goes towards each new frame, where it shows
PERSON = 255  # in the masks of OpenCV's models; a shadow is 127


class Scene(Protocol):
    """What one kind knows of the background."""

    def learn(self, frame: UInt8) -> None:
        """Take a frame (h,w) or (h,w,3) that shows the background alone."""

    def differs(self, frame: UInt8) -> UInt8:
        """Where a frame is not the background: 255, else 0, (h,w)."""

    def follow(self, frame: UInt8, person: UInt8) -> None:
        """Take the background of a frame where `person` (h,w) is 0."""


class Mean:
    """The mean of the first frames, in grey and blurred: what differs from it by more than a threshold is the person."""

    THRESHOLD = 10.0  # grey values, of 255
    BLUR = 1.0  # px, sigma

    def __init__(self) -> None:
        self._count = 0

    def learn(self, frame: UInt8) -> None:
        """See `Scene`."""
        grey = self._grey(frame)
        if self._count == 0:
            self._mean = np.zeros_like(grey)
        self._count += 1
        cv2.accumulateWeighted(grey, self._mean, 1 / self._count)

    def differs(self, frame: UInt8) -> UInt8:
        """See `Scene`."""
        return _mask(cv2.absdiff(self._grey(frame), self._mean) > self.THRESHOLD)

    def follow(self, frame: UInt8, person: UInt8) -> None:
        """See `Scene`."""
        cv2.accumulateWeighted(self._grey(frame), self._mean, FOLLOW, mask=cv2.bitwise_not(person))

    def _grey(self, frame: UInt8) -> Float32:
        return np.asarray(cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (0, 0), self.BLUR), np.float32)


class Mixture:
    """OpenCV's MOG2 (Zivkovic 2004): each pixel's background is a mixture of Gaussians in colour; shadows belong to it."""

    VARIANCES = 20.0  # squared distance from a Gaussian, over its variance, from which on a colour is another one

    def __init__(self) -> None:
        self._model = cv2.createBackgroundSubtractorMOG2(varThreshold=self.VARIANCES, detectShadows=True)
        self._count = 0

    def learn(self, frame: UInt8) -> None:
        """See `Scene`."""
        self._count += 1
        self._model.apply(_calm(frame), learningRate=1 / self._count)

    def differs(self, frame: UInt8) -> UInt8:
        """See `Scene`."""
        return _mask(self._model.apply(_calm(frame), learningRate=0) == PERSON)

    def follow(self, frame: UInt8, person: UInt8) -> None:
        """See `Scene`."""
        self._model.apply(_calm(frame), knownForegroundMask=person, learningRate=FOLLOW)


class Neighbours:
    """OpenCV's KNN (Zivkovic 2006): each pixel's background is a set of colours that were seen; shadows belong to it.

    It cannot be told where the person is, and takes in what stands still for some minutes; so slowly does it follow the light.
    """

    DISTANCE = 500.0  # squared, from which on a colour is another one
    RATE = 1e-4

    def __init__(self) -> None:
        self._model = cv2.createBackgroundSubtractorKNN(dist2Threshold=self.DISTANCE, detectShadows=True)
        self._count = 0

    def learn(self, frame: UInt8) -> None:
        """See `Scene`."""
        self._count += 1
        self._model.apply(_calm(frame), learningRate=1 / self._count)

    def differs(self, frame: UInt8) -> UInt8:
        """See `Scene`; the background is followed here."""
        return _mask(self._model.apply(_calm(frame), learningRate=self.RATE) == PERSON)

    def follow(self, frame: UInt8, person: UInt8) -> None:
        """See `Scene`; OpenCV 5.0 takes the mask of known foreground, but learns the person all the same."""


def _mask(where: NDArray[np.bool_]) -> UInt8:
    return np.where(where, np.uint8(255), np.uint8(0))


def _calm(frame: UInt8) -> UInt8:
    return np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.uint8)
