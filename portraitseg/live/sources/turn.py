"""Sources that change another one: turned and mirrored, or from the beginning again."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from portraitseg.image import UInt8
from portraitseg.live.frames import Frame, Source

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Turned:
    """The frames of a source, turned."""

    def __init__(self, source: Source, rotate: int, mirror: bool) -> None:
        """Take a source; `rotate` in degrees clockwise, then `mirror` left and right."""
        self._source, self._rotate, self._mirror = source, rotate, mirror
        self.live, self.fps, self.count = source.live, source.fps, source.count

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        for frame in self._source:
            yield replace(frame, image=self._turn(frame.image))

    def close(self) -> None:
        """See `Source`."""
        self._source.close()

    def _turn(self, image: UInt8) -> UInt8:
        turned = cv2.rotate(image, TURNS[self._rotate]) if self._rotate else image
        return np.asarray(cv2.flip(turned, 1) if self._mirror else turned, np.uint8)


class Looped:
    """The frames of a source again and again; index and time go on."""

    live = False
    count = None

    def __init__(self, source: Source, reopen: Callable[[], Source]) -> None:
        """Take the open source, and what opens it again."""
        self._source, self._reopen = source, reopen
        self.fps = source.fps
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        index, origin = 0, 0.0
        while not self._closed.is_set():
            time = 0.0
            for frame in self._source:
                time = frame.time
                yield replace(frame, index=index, time=origin + time)
                index += 1
            origin += time + 1 / (self.fps or 30)
            if not self._closed.is_set():
                self._source = self._reopen()

    def close(self) -> None:
        """See `Source`."""
        self._closed.set()
        self._source.close()
