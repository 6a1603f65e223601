"""Sources, sinks and stages of which a test knows everything."""

import threading
from collections.abc import Callable, Iterator

import numpy as np

from portraitseg.live.frames import Frame


class Clip:
    """Frames whose pixels are all their number; live ones come only when `pace` lets them."""

    def __init__(
        self, count: int, *, live: bool = False, size: tuple[int, int] = (6, 8), pace: Callable[[int], None] = lambda number: None
    ) -> None:
        self.live, self.fps, self.count = live, 30.0, count
        self.closed = threading.Event()
        self._size, self._pace = size, pace

    def __iter__(self) -> Iterator[Frame]:
        for number in range(self.count):
            self._pace(number)
            if self.closed.is_set():
                return
            yield Frame(image=np.full((*self._size, 3), number % 256, np.uint8), time=number / 30, index=number)

    def close(self) -> None:
        self.closed.set()


class Memory:
    """A sink that remembers the frames' indices and each composite's first pixel."""

    def __init__(self, accept: Callable[[int], None] = lambda index: None) -> None:
        self.indices: list[int] = []
        self.pixels: list[list[int]] = []
        self.finished = self.closed = 0
        self._accept = accept

    def write(self, frame: Frame, image: np.ndarray) -> None:
        self._accept(frame.index)
        self.indices.append(frame.index)
        self.pixels.append(image[0, 0].tolist())

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.closed += 1


def find_all(frame: Frame) -> np.ndarray:
    """Everything is the person, as surely as the frame's number says."""
    return np.full((2, 2), frame.index % 256 / 255, np.float32)


def show_prob(frame: Frame, prob: np.ndarray) -> np.ndarray:
    """The composite is the frame, its red replaced by the prob."""
    out = frame.image.copy()
    out[..., 0] = round(float(prob[0, 0]) * 255)
    return out
