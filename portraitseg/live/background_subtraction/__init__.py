"""The person without a net, where the camera stands still: what differs from the background, as it was seen before.

The first frames must show the background alone. After that its light is followed where the person is not. docs/steady.md compares the
kinds.
"""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from portraitseg.compose.shrink import shrink
from portraitseg.errors import InputError
from portraitseg.image import Float32, UInt8
from portraitseg.live.background_subtraction.body import largest, margin
from portraitseg.live.background_subtraction.light import Light
from portraitseg.live.background_subtraction.scenes import Mean, Mixture, Neighbours, Scene

__all__ = ["SUBTRACTORS", "Subtractor", "subtractor"]

SEEN = 320  # px of the longer side: frames are compared at this size
SOFT = 1.2  # px, sigma of the edge


class Subtractor(Protocol):
    """Takes the frames of a camera in their order, in the place of a net: picture in, prob out."""

    @property
    def learning(self) -> bool:
        """The background is still being looked at; the prob is 0."""

    def __call__(self, image: UInt8) -> Float32:
        """RGB picture (H,W,3) -> prob (h,w) in [0,1], the whole picture ("stretch"), at most `SEEN` px.

        A picture of another size than the last is another scene, and `relearn` is called.
        """

    def relearn(self) -> None:
        """Forget the background: the next frames are to show it alone."""


class Subtraction:
    """A `Subtractor` of a `Scene`: what surrounds all kinds, written once."""

    def __init__(self, make: Callable[[], Scene], frames: int) -> None:
        self._make, self._frames = make, frames
        self._shape: tuple[int, ...] = ()
        self.relearn()

    @property
    def learning(self) -> bool:
        """See `Subtractor`."""
        return self._left > 0

    def relearn(self) -> None:
        """See `Subtractor`."""
        self._scene, self._light, self._left = self._make(), Light(), self._frames

    def __call__(self, image: UInt8) -> Float32:
        """See `Subtractor`."""
        if image.shape != self._shape:
            self._shape = image.shape
            self.relearn()
        frame = _small(image)
        return self._learn(frame) if self.learning else self._find(frame)

    def _learn(self, frame: UInt8) -> Float32:
        self._left -= 1
        self._light.learn(frame)
        self._scene.learn(frame)
        self._person = np.zeros(frame.shape[:2], np.uint8)
        return np.zeros(frame.shape[:2], np.float32)

    def _find(self, frame: UInt8) -> Float32:
        frame = self._light.corrected(frame, self._person)
        found = largest(self._scene.differs(frame))
        self._person = margin(found)
        self._scene.follow(frame, self._person)
        return np.asarray(cv2.GaussianBlur(found, (0, 0), SOFT) * np.float32(1 / 255), np.float32)


SUBTRACTORS: dict[str, Callable[[], Scene]] = {"mean": Mean, "mog2": Mixture, "knn": Neighbours}
"""Name -> what makes a new scene."""


def subtractor(name: str, frames: int = 30) -> Subtractor:
    """Make a subtractor.

    Args:
        name: of `SUBTRACTORS`.
        frames: from which the background is learnt.

    Raises:
        InputError: there is no such name, or no frame.
    """
    if name not in SUBTRACTORS:
        raise InputError(f"there is no background subtraction {name!r}; choose one of {', '.join(SUBTRACTORS)}")
    if frames < 1:
        raise InputError(f"the background is learnt from at least 1 frame, got {frames}")
    return Subtraction(SUBTRACTORS[name], frames)


def _small(image: UInt8) -> UInt8:
    """The picture in its proportions, its longer side at most `SEEN` px."""
    scale = min(1.0, SEEN / max(image.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    return shrink(image, (height, width))
