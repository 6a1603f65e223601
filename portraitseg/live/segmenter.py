"""From a frame to a steady prob at the net's size."""

from collections.abc import Callable

import numpy as np

from portraitseg.card import Card
from portraitseg.compose.shrink import shrink
from portraitseg.image import Float32, UInt8, box
from portraitseg.live.background_subtraction import Subtractor, subtractor
from portraitseg.live.frames import Frame
from portraitseg.live.look import Look
from portraitseg.live.smoothing import Smoother, smoother
from portraitseg.runtime import Runtime, Video


class Segmenter:
    """A net with what belongs to consecutive frames: the prior, skipped frames, smoothing, and background subtraction in its place."""

    def __init__(
        self, runtime: Runtime, *, look: Look | None = None, smoothing: Smoother | None = None, subtraction: Subtractor | None = None
    ) -> None:
        """Wrap a net.

        Args:
            runtime: the net; one of four channels is fed its own last prob.
            look: what may be changed meanwhile: `skip`, `smoothing` and `subtract` are heeded.
            smoothing: in time, of the part of the prob that the picture fills; its strength becomes the look's. Default: "ema".
            subtraction: takes the net's place while the look says so. Default: "mean".
        """
        self.look = look or Look()
        self.subtraction = subtraction or subtractor("mean")
        self._smoothing = smoothing or smoother("ema")
        self._net = Video(runtime)
        self._waited = 0
        self._last: Float32 | None = None
        self._seen: tuple[object, ...] = ()
        self._kept: dict[tuple[int, ...], UInt8] = {}

    def __call__(self, frame: Frame) -> Float32:
        """The prob (h,w) of the next frame in [0,1]; enlarged to the frame's size it lies on the picture."""
        seen = frame.image.shape, self.look.subtract
        if seen != self._seen:
            self.reset()
            self._kept.clear()
            self._seen = seen
        if self._last is not None and self._waited < self.look.skip:
            self._waited += 1
            return self._last
        self._waited = 0
        self._smoothing.strength = self.look.smoothing
        self._last = self._smoothing(self._find(frame.image), frame.image, frame.time)
        return self._last

    def reset(self) -> None:
        """The next frame does not follow the last one."""
        self._net.cut()
        self._smoothing.reset()
        self._last = None

    def _find(self, image: UInt8) -> Float32:
        return self.subtraction(image) if self.look.subtract else prob_of(image, self._net, self._net.card, self._kept)


def prob_of(image: UInt8, net: Callable[[UInt8], Float32], card: Card, kept: dict[tuple[int, ...], UInt8] | None = None) -> Float32:
    """A net's prob (h,w) of a picture (H,W,3), the border of a letterbox cut off; `kept` as in `shrink`."""
    rows, columns = box((image.shape[0], image.shape[1]), card.size, card.fit)
    small = shrink(image, (rows.stop - rows.start, columns.stop - columns.start), kept)
    return np.ascontiguousarray(net(small)[rows, columns])
