"""Cameras, through OpenCV."""

import sys
from pathlib import Path

import cv2
import numpy as np

from portraitseg.errors import InputError
from portraitseg.image import Array, UInt8
from portraitseg.live.notices import Notice
from portraitseg.live.sources.reconnect import Reconnecting


def open_camera(device: str, *, size: tuple[int, int] | None, fps: float | None, notice: Notice) -> Reconnecting:
    """Open a camera by number or device file.

    Args:
        device: "0", "/dev/video0".
        size: wished (width, height); a camera may give another one.
        fps: wished frames a second.
        notice: see `Reconnecting`.

    Raises:
        InputError: there is no such camera, or it is in use.
    """
    refusal = f"camera {device} cannot be opened; {_remedy()}"
    return Reconnecting(f"camera {device}", lambda: CaptureReader(_capture(device, size, fps), refusal), notice=notice)


class CaptureReader:
    """A `Reader` of an OpenCV capture: a camera, or a stream where PyAV is not installed."""

    def __init__(self, capture: cv2.VideoCapture, refusal: str) -> None:
        """Refuse a capture that did not open.

        Raises:
            InputError: with the text `refusal`.
        """
        if not capture.isOpened():
            capture.release()
            raise InputError(refusal)
        self._capture = capture
        self.fps = max(0.0, float(capture.get(cv2.CAP_PROP_FPS)))

    def read(self) -> UInt8 | None:
        """See `Reader`."""
        got, image = self._capture.read()
        return to_rgb(image) if got and image is not None else None

    def close(self) -> None:
        """See `Reader`."""
        self._capture.release()


def to_rgb(image: Array) -> UInt8:
    """OpenCV's picture, grey (H,W), BGR or BGRA, as RGB (H,W,3)."""
    swap = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    return np.asarray(cv2.cvtColor(image, swap[1 if image.ndim == 2 else image.shape[2]]), np.uint8)


def _capture(device: str, size: tuple[int, int] | None, fps: float | None) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
    if size is not None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))  # raw pictures of webcams come at 5 to 10 FPS when large
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    if fps is not None:
        capture.set(cv2.CAP_PROP_FPS, fps)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # else what is read is some frames old
    return capture


def _remedy() -> str:
    if not sys.platform.startswith("linux"):
        return "plug it in, or close the program that uses it"
    found = ", ".join(str(path) for path in sorted(Path("/dev").glob("video*"))) or "none"
    return f"cameras of this machine: {found}; plug one in, close the program that uses it, or give a video file"
