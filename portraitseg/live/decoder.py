"""Pictures out of a file or a stream, through PyAV."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from portraitseg.errors import InputError, one_line
from portraitseg.image import UInt8
from portraitseg.optional import require

FAULTS = 500  # packets in a row that cannot be read, after which nothing is hoped for
TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}  # by degrees counter-clockwise


class Decoder:
    """The video stream of a container; what cannot be decoded is counted and skipped."""

    def __init__(self, name: str, location: str, **settings: Any) -> None:
        """Open it.

        Args:
            name: for messages.
            location: path or URL.
            settings: of `av.open`.

        Raises:
            InputError: it cannot be opened or has no pictures.
            ImportError: PyAV is not installed.
        """
        av = require("av", extra="live")
        self._errors: type[Exception] = av.FFmpegError
        try:
            self._container = av.open(location, **settings)
        except (self._errors, OSError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise InputError(f"{name} cannot be opened as video: {reason}; give a video such as an MP4 (H.264)") from error
        self.stream = self._container.streams.best("video")
        if self.stream is None:
            self._container.close()
            raise InputError(f"{name} has no pictures, only sound or data; give a video")
        self.stream.thread_type = "AUTO"
        self._to_rgb = av.video.reformatter.VideoReformatter()
        self.damaged = 0
        """Packets and pictures that could not be decoded, or only in part."""

    @property
    def fps(self) -> float:
        """Nominal frames a second; 0 if unknown."""
        return float(self.stream.average_rate or self.stream.guessed_rate or 0)

    @property
    def seconds(self) -> float | None:
        """How long it lasts, as the container says; None if it does not say, as of what is sent live."""
        return self._container.duration / 1e6 if self._container.duration else None

    @property
    def timed(self) -> bool:
        """The frames' times are stated. AVI states only the order in which frames are decoded, which is not that in which they are seen."""
        return "avi" not in self._container.format.name

    def __iter__(self) -> Iterator[Any]:
        """PyAV's frames, to the end. Ends early, where `FAULTS` packets in a row cannot be read."""
        packets, faults = self._container.demux(self.stream), 0
        while faults < FAULTS:
            try:
                pictures = next(packets).decode()
            except StopIteration:
                return
            except self._errors:
                self.damaged += 1
                faults += 1
                packets = self._container.demux(self.stream)  # the old one has ended with the error
                continue
            for picture in pictures:
                faults = 0
                self.damaged += bool(picture.is_corrupt)
                yield picture

    def image(self, picture: Any) -> UInt8:
        """PyAV's frame as RGB (H,W,3), turned upright as the stream says."""
        rgb = self._to_rgb.reformat(picture, format="rgb24").to_ndarray()
        turn = TURNS.get(round(picture.rotation) % 360)
        return np.asarray(rgb if turn is None else cv2.rotate(rgb, turn), np.uint8)

    def seek(self, seconds: float) -> None:
        """Go to a key frame at or before `seconds` on the stream's clock, if the container can."""
        try:
            self._container.seek(int(seconds / self.stream.time_base), stream=self.stream)
        except self._errors:
            self._container.seek(0)

    def close(self) -> None:
        """Free it."""
        self._container.close()
