"""Consecutive frames: in which order the pictures of a folder follow each other, and frames without masks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2

from portraitseg import image
from portraitseg.errors import InputError
from portraitseg.image import SUFFIXES, UInt8


class Frames(Protocol):
    """The frames of one clip, from the first to the last."""

    def __len__(self) -> int:
        """How many there are; of a video file, what its header says."""
        ...

    def __iter__(self) -> Iterator[tuple[str, UInt8]]:
        """Name and picture, RGB (H,W,3), of each."""
        ...


def order(name: str) -> list[str | int]:
    """The key by which frames are sorted: by folder and name, numbers in it by their value (frame9 before frame10)."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def clip(name: str) -> str:
    """The clip that a frame belongs to: its folder."""
    return name.rpartition("/")[0]


def open_frames(path: Path) -> Frames:
    """Open a folder of pictures or a video file.

    Raises:
        InputError: there is no such thing, or it holds no frame.
    """
    if not path.exists():
        raise InputError(f"there is no {path}; give a folder of frames or a video file")
    return _FrameFolder(path) if path.is_dir() else _VideoFile(path)


class _FrameFolder:
    def __init__(self, folder: Path) -> None:
        pictures = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file() and path.name[0] != ".")
        self.paths = sorted(pictures, key=lambda path: order(path.name))
        if not self.paths:
            raise InputError(f"{folder} holds no pictures; give a folder of frames ({image.FORMATS}) or a video file")

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[tuple[str, UInt8]]:
        for path in self.paths:
            yield path.stem, image.read(path)


class _VideoFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        capture = self._open()
        self.count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        if not capture.read()[0]:
            raise InputError(f"{path} is no video that OpenCV can read; give an MP4 (H.264) or a folder of frames")

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[str, UInt8]]:
        capture, number = self._open(), 0
        while (read := capture.read())[0]:
            yield f"{number:06d}", cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB).astype("uint8", copy=False)
            number += 1

    def _open(self) -> cv2.VideoCapture:
        return cv2.VideoCapture(str(self.path))
