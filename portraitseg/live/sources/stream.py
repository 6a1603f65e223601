"""RTSP, HTTP and RTMP streams: through PyAV, or where that is not installed through OpenCV."""

import importlib.util
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import cv2

from portraitseg.image import UInt8
from portraitseg.live.decoder import Decoder
from portraitseg.live.notices import Notice
from portraitseg.live.sources.camera import CaptureReader
from portraitseg.live.sources.reconnect import Reader, Reconnecting

SCHEMES = frozenset({"rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp"})
LIMIT = 10.0  # seconds in which a server has to answer, and in which the next picture has to come
OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP lost packets smear the picture
    "fflags": "nobuffer",
    "analyzeduration": "1000000",  # microseconds; else up to five seconds pass before the first picture
}


def open_stream(url: str, *, notice: Notice, limit: float = LIMIT) -> Reconnecting:
    """Connect to a stream.

    Args:
        url: with one of `SCHEMES`.
        notice: see `Reconnecting`.
        limit: seconds in which something has to come.

    Raises:
        InputError: nobody answers, or it is no video.
    """
    name = shown(url)
    return Reconnecting(name, lambda: _connect(url, name, limit), notice=notice)


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
        """See `Reader`. Of a URL with a known length, the end is the end; of one without, a loss."""
        picture = next(self._pictures, None)
        if picture is not None:
            return self._decoder.image(picture)
        if self._decoder.seconds is not None:
            raise EOFError
        return None

    def close(self) -> None:
        """See `Reader`."""
        self._decoder.close()


def _connect(url: str, name: str, limit: float) -> Reader:
    if importlib.util.find_spec("av") is None:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(limit * 1000), cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(limit * 1000)]
        return CaptureReader(cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits), f"{name} cannot be opened; see that it is sent and is video")
    return StreamReader(Decoder(name, url, timeout=(limit, limit), options=OPTIONS))
