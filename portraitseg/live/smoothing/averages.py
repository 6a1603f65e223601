"""Exponential averages in time that let go where something moved."""

import math
from functools import cache

import cv2
import numpy as np

from portraitseg.image import Float32, UInt8
from portraitseg.live.smoothing.mixing import fade, mix

SECONDS = 0.6  # time constant, at full strength
JUMP = (0.6, 1.2)  # differences of a prob from the average that flicker, and that say that something else is there; times the strength


class MotionGatedAverage:
    """Average of what was there, but nothing of it where the picture changed.

    The picture is averaged as the prob is. So the present one differs from it where it no longer shows what the average was made of, and
    slow motion adds up until it counts.
    """

    STILL, MOVED = 4.0, 14.0  # change of a grey value that is noise, and that is motion

    def start(self, prob: Float32, seen: Float32) -> None:
        """See `Filter`."""
        self._prob, self._seen = prob, seen

    def step(self, prob: Float32, seen: Float32, elapsed: float, strength: float) -> Float32:
        """See `Filter`."""
        change = cv2.dilate(cv2.absdiff(seen, self._seen), None)
        kept = _kept(elapsed, strength) * fade(change, self.STILL, self.MOVED)
        self._seen = mix(seen, self._seen, kept)
        self._prob = _average(prob, self._prob, kept, strength)
        return self._prob


class Flow:
    """Average with the last prob moved along by DIS optical flow (Kroeger 2016), where the last picture, so moved, is the present one."""

    SAME, OTHER = 6.0, 20.0  # grey values that a picture that was moved well, and badly, differs by
    LEAST = 12  # px of the shorter side: in less, DIS sees no motion

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def start(self, prob: Float32, seen: Float32) -> None:
        """See `Filter`."""
        self._prob, self._seen = prob, seen

    def step(self, prob: Float32, seen: Float32, elapsed: float, strength: float) -> Float32:
        """See `Filter`."""
        motion = self._motion(seen.astype(np.uint8), self._seen.astype(np.uint8))
        wrong = cv2.dilate(cv2.absdiff(seen, _moved(self._seen, motion)), None)
        kept = _kept(elapsed, strength) * fade(wrong, self.SAME, self.OTHER)
        self._prob, self._seen = _average(prob, _moved(self._prob, motion), kept, strength), seen
        return self._prob

    def _motion(self, seen: UInt8, before: UInt8) -> Float32:
        """The way back to where each pixel was, x and y (g,k,2)."""
        if min(seen.shape) < self.LEAST:
            return np.zeros((*seen.shape, 2), np.float32)
        return np.asarray(self._flow.calc(seen, before, None), np.float32)


def _kept(elapsed: float, strength: float) -> np.float32:
    """What an average keeps of its old value, where nothing speaks against it."""
    return np.float32(math.exp(-elapsed / (SECONDS * strength)))


def _average(prob: Float32, last: Float32, kept: Float32, strength: float) -> Float32:
    """The prob (h,w), with `kept` (g,k) of the last one, but nothing of it where the two contradict each other."""
    trust = fade(cv2.absdiff(prob, last), *(strength * jump for jump in JUMP))
    return mix(prob, last, np.minimum(trust, _enlarge(kept, prob), out=trust))


def _moved(values: Float32, motion: Float32) -> Float32:
    """Each pixel of (h,w) from where it was, by the way back (g,k,2), in pixels of (g,k)."""
    ratio = np.divide(values.shape[::-1], motion.shape[1::-1], dtype=np.float32)
    source = _enlarge(motion, values)
    source *= ratio
    source += _grid((values.shape[0], values.shape[1]))
    return np.asarray(cv2.remap(values, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


@cache
def _grid(size: tuple[int, int]) -> Float32:
    """The place of each pixel, x and y (h,w,2)."""
    return np.stack(np.meshgrid(*(np.arange(side, dtype=np.float32) for side in size[::-1])), -1)


def _enlarge(values: Float32, like: Float32) -> Float32:
    """(g,k) or (g,k,2) at the height and width of `like`."""
    return np.array(cv2.resize(values, like.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32, copy=None)
