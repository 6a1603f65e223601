"""RTSP, HTTP and RTMP streams: through PyAV, or where that is not installed through OpenCV."""

import importlib.util
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import cv2

from portraitseg.image import UInt8
from portraitseg.live.decoder import Decoder
from portraitseg.live.frames import Position, Source
from portraitseg.live.notices import Notice
from portraitseg.live.sources.camera import CaptureReader
from portraitseg.live.sources.reconnect import Reconnecting
from portraitseg.live.sources.video import Video

SCHEMES = frozenset({"rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp"})
LIMIT = 10.0  # seconds in which a server has to answer, and in which the next picture has to come
OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP lost packets smear the picture
    "analyzeduration": "1000000",  # microseconds; else up to five seconds pass before the first picture
}


def open_stream(url: str, *, after: Position | None = None, notice: Notice, limit: float = LIMIT) -> Source:
    """Connect to a stream, or to a server's file, which is no live source.

    Args:
        url: with one of `SCHEMES`.
        after: begin with the frame behind this one; of a file.
        notice: see `Reconnecting` and `Video`.
        limit: seconds in which something has to come.

    Raises:
        InputError: nobody answers, or it is no video.
    """
    name = shown(url)
    if importlib.util.find_spec("av") is None:
        return Reconnecting(name, lambda: _plain(url, name, limit), notice=notice)
    opened = [_decoder(url, name, limit)]  # some cameras take one connection, so the first is the one that is used

    def connect() -> Decoder:
        return opened.pop() if opened else _decoder(url, name, limit)

    if url.lower().startswith("http") and opened[0].seconds is not None:
        return Video(name, connect, after=after, notice=notice)
    return Reconnecting(name, lambda: StreamReader(connect()), notice=notice)


def shown(url: str) -> str:
    """A URL without the user, password and query that it may carry, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class StreamReader:
    """A `Reader` of a URL."""

    def __init__(self, decoder: Decoder) -> None:
        """Take an open decoder."""
        self._decoder = decoder
        self._pictures: Iterator[Any] = iter(decoder)
        self.fps = decoder.fps

    def read(self) -> UInt8 | None:
        """See `Reader`."""
        picture = next(self._pictures, None)
        return None if picture is None else self._decoder.image(picture)

    def close(self) -> None:
        """See `Reader`."""
        self._decoder.close()


def _decoder(url: str, name: str, limit: float) -> Decoder:
    return Decoder(name, url, timeout=(limit, limit), options=OPTIONS)


def _plain(url: str, name: str, limit: float) -> CaptureReader:
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(limit * 1000), cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(limit * 1000)]
    return CaptureReader(cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits), f"{name} cannot be opened; see that it is sent and is video")
