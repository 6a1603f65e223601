"""Video files: through PyAV, or where that is not installed through OpenCV."""

import threading
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import cv2

from portraitseg.errors import InputError
from portraitseg.live.decoder import Decoder
from portraitseg.live.frames import Frame, Position
from portraitseg.live.notices import Notice
from portraitseg.live.sources.camera import to_rgb


class Video:
    """A video file, upright, with the times that it states; what is broken in the middle is skipped, and said at the end."""

    live = False

    def __init__(self, name: str, connect: Callable[[], Decoder], *, after: Position | None, notice: Notice) -> None:
        """Open the file.

        Args:
            name: for messages.
            connect: opens the file, as often as it is called.
            after: begin with the frame behind this one.
            notice: told what was skipped.

        Raises:
            InputError: it is no video.
            ImportError: PyAV is not installed.
        """
        self._name, self._after, self._notice = name, after, notice
        self._connect = connect
        self._decoder = connect()
        self.fps = self._decoder.fps
        self.count = self._decoder.stream.frames or _estimate(self._decoder)
        self._origin: int | None = None
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        with_first = self._pictures()
        first = next(with_first, None)
        if first is None:
            if self._closed.is_set():
                return
            raise InputError(f"{self._name} opens, but none of its frames can be decoded; copy it again, or convert it with ffmpeg")
        self._origin = first.pts if self._decoder.timed else None
        pictures = chain([first], with_first) if self._after is None else self._behind(self._after)
        index, last = (self._after.index + 1, self._after.time) if self._after else (0, -1.0)
        for picture in pictures:
            time = self._time(picture)
            time = index / (self.fps or 30) if time is None else time
            if time > last:
                yield Frame(image=self._decoder.image(picture), time=time, index=index)
                index, last = index + 1, time
            else:  # where packets are lost, decoders give some frames too late
                self._decoder.damaged += 1
        self._report()

    def close(self) -> None:
        """See `Source`. The file is closed by the thread that reads it, or with this object."""
        self._closed.set()

    def _pictures(self) -> Iterator[Any]:
        for picture in self._decoder:
            if self._closed.is_set():
                return
            yield picture

    def _behind(self, after: Position) -> Iterator[Any]:
        """The pictures behind `after`, from the key frame before it; from the file's beginning if there is no way to seek there."""
        if self._origin is not None:
            self._decoder.seek(float(self._origin * self._decoder.stream.time_base) + after.time)
            pictures = self._pictures()
            first = next(pictures, None)
            reached = None if first is None else self._time(first)
            if reached is not None and reached <= after.time:
                return (picture for picture in pictures if (self._time(picture) or 0.0) > after.time)
        self._decoder = self._connect()
        return islice(self._pictures(), after.index + 1, None)

    def _time(self, picture: Any) -> float | None:
        """Seconds since the file's first picture, as the file says."""
        if picture.pts is None or self._origin is None:
            return None
        return float((picture.pts - self._origin) * self._decoder.stream.time_base)

    def _report(self) -> None:
        damaged = self._decoder.damaged
        if damaged and not self._closed.is_set():
            self._notice(f"{self._name} is damaged: {damaged} packets or frames could not be decoded whole; what could is used")


class PlainVideo:
    """A video file through OpenCV, which turns it upright and skips what is broken without a word."""

    live = False

    def __init__(self, path: Path, *, after: Position | None) -> None:
        """Open the file.

        Raises:
            InputError: it is no video.
        """
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise InputError(f"{path} is no video that OpenCV can read; give an MP4 (H.264)")
        self.fps = max(0.0, float(self._capture.get(cv2.CAP_PROP_FPS)))
        self.count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))) or None
        self._start = after.index + 1 if after else 0
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        origin, index = 0.0, 0
        while not self._closed.is_set() and self._capture.grab():
            time = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            origin = origin if index else time
            if index >= self._start:
                got, image = self._capture.retrieve()
                if got:
                    yield Frame(image=to_rgb(image), time=time - origin, index=index)
            index += 1
        if index == 0 and not self._closed.is_set():
            raise InputError(f"{self._path} opens, but none of its frames can be decoded; copy it again, or convert it with ffmpeg")

    def close(self) -> None:
        """See `Source`."""
        self._closed.set()


def _estimate(decoder: Decoder) -> int | None:
    return round(decoder.seconds * decoder.fps) or None if decoder.seconds and decoder.fps else None
