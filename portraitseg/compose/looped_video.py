"""A video file that never ends, asked for the frame of a time; no more than one frame is held."""

import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from portraitseg.errors import InputError
from portraitseg.image import UInt8

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # libav prints what a broken file makes it think; the errors below say it better

USUAL = 25.0
"""Frames a second of a file that does not say, or says what none has."""


class LoopedVideo:
    """A file, opened by OpenCV. One that breaks in the middle is played up to there."""

    def __init__(self, path: Path) -> None:
        """Open it and read the first frame.

        Raises:
            InputError: that cannot be done.
        """
        self._path, self._capture = path, _opened(path)
        self._frame = self._read_first()
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.1 < fps <= 1000 else USUAL
        self._number = 0  # of the frame held, counted through all rounds
        self._begin = 0  # where this round began
        self._round = int(max(1, self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))  # frames, as the file says until one round is over
        self._dead = False

    def at(self, seconds: float) -> tuple[int, UInt8]:
        """The frame of a time from 0, RGB (h,w,3), and its number; going back in time begins anew."""
        wanted = int(max(0.0, seconds) * self.fps + 1e-6)
        if self._dead or wanted == self._number:
            return self._number, self._frame
        if wanted < self._number:
            self._restart(0)
        rounds = (wanted - self._number) // self._round
        if rounds > 1:  # a pause, or a clock that jumped: what would be skipped need not be decoded
            self._number, self._begin = self._number + rounds * self._round, self._begin + rounds * self._round
        self._go_to(wanted)
        return self._number, self._frame

    def close(self) -> None:
        """Free the file. May be called twice."""
        self._capture.release()

    def _go_to(self, wanted: int) -> None:
        """Read on to frame `wanted`; skipped frames are decoded, as later ones are made from them, but not converted."""
        fresh = False
        while self._number < wanted and not self._dead:
            fresh = bool(self._capture.grab())
            if fresh:
                self._number += 1
            else:  # the end, or where the file breaks
                self._round = self._number + 1 - self._begin
                self._restart(self._number + 1)
        if fresh:
            good, frame = self._capture.retrieve()
            if good:
                self._frame = _rgb(frame)

    def _restart(self, number: int) -> None:
        """Begin anew; the first frame is number `number`. Where that cannot be done, the frame held stays for good."""
        try:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            good, frame = self._capture.read()
            if not good:
                self._capture.release()
                self._capture = _opened(self._path)
                good, frame = self._capture.read()
            self._frame = _rgb(frame) if good else self._frame
            self._dead = not good
        except InputError:
            self._dead = True
        if self._dead:
            print(f"warning: the background {self._path} can be read no longer; its last frame stays", file=sys.stderr)
        self._number = self._begin = number

    def _read_first(self) -> UInt8:
        good, frame = self._capture.read()
        if not good:
            raise InputError(f"{self._path} has no frame that can be read; replace the file")
        return _rgb(frame)


def _opened(path: Path) -> Any:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        state = "is empty (0 bytes)" if path.is_file() and not path.stat().st_size else "is no video or picture that can be read"
        raise InputError(f"background {path} {state}; give a picture, a video such as .mp4, or a folder of pictures")
    return capture


def _rgb(frame: Any) -> UInt8:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
