"""What all kinds of smoothing have to watch: whether a frame goes on where the last one was."""

import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from portraitseg.errors import InputError
from portraitseg.image import Float32, UInt8

SEEN = 128  # px of the longer side: changes of the picture are looked for at this size
CUT = 30.0  # mean change of a grey value, of 255, from one frame to the next: another scene. A runner makes 16, a cut 35 and more
GAP = 1.0  # seconds without a frame, after which what was there says little of what is
NOMINAL = 1 / 30  # seconds between frames that bear the same time


class Filter(Protocol):
    """What one kind does with frames that follow each other; what it is given and gives, it does not write to later."""

    def start(self, prob: Float32, seen: Float32) -> None:
        """Begin with the first prob (h,w) and its picture: grey (g,k), at most `SEEN` px."""

    def step(self, prob: Float32, seen: Float32, elapsed: float, strength: float) -> Float32:
        """Steady the next prob, `elapsed` > 0 seconds after the last, with a strength in (0,1]."""


@dataclass(frozen=True)
class _Frame:
    """What the next frame is compared with."""

    seen: Float32
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    seconds: float


class Steady:
    """A `Smoother` of a `Filter`."""

    def __init__(self, kind: Filter, strength: float) -> None:
        self.strength = strength
        self._kind = kind
        self._last: _Frame | None = None

    @property
    def strength(self) -> float:
        """See `Smoother`.

        Raises:
            InputError: it is set to a number outside [0,1].
        """
        return self._strength

    @strength.setter
    def strength(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise InputError(f"the strength of smoothing must be from 0 (none) to 1, got {value}")
        self._strength = value

    def reset(self) -> None:
        """See `Smoother`."""
        self._last = None

    def __call__(self, prob: Float32, image: UInt8, seconds: float) -> Float32:
        """See `Smoother`."""
        if not math.isfinite(float(prob.sum())):
            raise InputError("the prob holds NaN or infinity: the model's weights are broken or its input has another range")
        if self.strength == 0:
            self.reset()
            return prob
        last, now = self._last, _Frame(_look(image), (prob.shape, image.shape), seconds)
        self._last = now
        if last is None or not _follows(last, now):
            self._kind.start(prob, now.seen)
            return prob
        return self._kind.step(prob, now.seen, now.seconds - last.seconds or NOMINAL, self.strength)


class Unsteadied:
    """The `Smoother` that leaves every prob as it is."""

    strength = 0.0

    def reset(self) -> None:
        """See `Smoother`."""

    def __call__(self, prob: Float32, image: UInt8, seconds: float) -> Float32:
        """See `Smoother`."""
        return prob


def _follows(last: _Frame, now: _Frame) -> bool:
    """Whether a frame goes on where the last one was."""
    if last.shapes != now.shapes or not 0 <= now.seconds - last.seconds <= GAP:
        return False
    return float(cv2.norm(last.seen, now.seen, cv2.NORM_L1)) < CUT * now.seen.size


def _look(image: UInt8) -> Float32:
    """The picture (H,W,3) in grey (g,k), small, without the noise of single pixels."""
    scale = min(1.0, SEEN / max(image.shape[:2]))
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # by area it takes 20 times as long
    return np.asarray(cv2.blur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (3, 3)), np.float32)
