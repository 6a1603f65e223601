"""What stands behind the person: a colour, a picture, a folder of pictures in turn, or a video.

A backdrop is asked for its picture at a frame's size and time. The picture belongs to the backdrop, is not to be written to, and is
the same object for as long as nothing changes.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np

from portraitseg import image as pictures
from portraitseg.compose.colours import allowed, find_colour
from portraitseg.compose.fit import FITS, fitted, flat
from portraitseg.compose.looped_video import LoopedVideo
from portraitseg.errors import InputError
from portraitseg.image import UInt8

Size = tuple[int, int]
SECONDS = 5.0


class Backdrop(Protocol):
    """Opened by `open_backdrop`."""

    def __call__(self, size: Size, seconds: float) -> UInt8:
        """The picture at a frame's size (H,W) and time: RGB (H,W,3), read-only."""

    def close(self) -> None:
        """Free files and threads. May be called twice."""


def open_backdrop(text: str, *, fit: str = "crop", border: str = "blur", seconds: float = SECONDS) -> Backdrop:
    """Understand what a user writes after --background.

    Args:
        text: a colour ('#rrggbb', 'r,g,b' or a name), a picture, a folder of pictures, or a video. A file that is named like a colour
            is given as ./red.
        fit: how a picture of another shape fills the frame: "crop" (what sticks out is cut off), "fill" (stretched), or "fit" (whole,
            with a border).
        border: of "fit": "blur" (the picture itself, blurred) or "black".
        seconds: that each picture of a folder stands.

    Raises:
        InputError: it is none of these, cannot be read or is empty, or a setting is not one of those allowed.
    """
    if fit not in FITS:
        raise InputError(f"fit must be one of {', '.join(FITS)}, got {fit!r}")
    if border not in ("blur", "black"):
        raise InputError(f'border must be "blur" or "black", got {border!r}')
    if not seconds > 0:
        raise InputError(f"a picture has to stand for more than 0 seconds, got {seconds:g}; try 5")

    def fitting(picture: UInt8, size: Size) -> UInt8:
        return _kept(fitted(picture, size, fit, border))

    colour = find_colour(text)
    if colour is not None:
        return Still(np.array(colour, np.uint8), flat)
    path = Path(text)
    if not path.exists():
        raise InputError(
            f"background {text!r} is no colour that we know, and no such file exists; give a picture, a folder of pictures, a video, or "
            f"{allowed()}"
        )
    if path.is_dir():
        return Slideshow(path, fitting, seconds)
    if path.suffix.lower() in pictures.SUFFIXES:
        return Still(pictures.read(path), fitting)
    return Film(path, fitting)


Fitting = Callable[[UInt8, Size], UInt8]


class Still:
    """One picture or colour, fitted once for each size."""

    def __init__(self, picture: UInt8, fitting: Fitting) -> None:
        self._picture, self._fitting = picture, fitting
        self._shown: UInt8 | None = None

    def __call__(self, size: Size, seconds: float) -> UInt8:
        """See `Backdrop`."""
        if self._shown is None or self._shown.shape[:2] != size:
            self._shown = self._fitting(self._picture, size)
        return self._shown

    def close(self) -> None:
        """See `Backdrop`."""


class Slideshow:
    """A folder's pictures in order of name, each for some seconds; the next is read, by another thread, while one is shown.

    Pictures that cannot be read are warned of once and left out.
    """

    def __init__(self, folder: Path, fitting: Fitting, seconds: float) -> None:
        """List the folder and read the first picture.

        Raises:
            InputError: there are no pictures, or none can be read.
        """
        self._paths = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in pictures.SUFFIXES and entry.is_file())
        self._folder, self._fitting, self._seconds = folder, fitting, seconds
        if not self._paths:
            raise InputError(f"no pictures in {folder}; a slideshow takes files that end in {', '.join(sorted(pictures.SUFFIXES))}")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="slideshow")
        first = self._read(0)
        if first is None:
            raise InputError(f"no picture in {folder} can be read; replace the files")
        self._turn, self._still = 0, Still(first, fitting)
        self._next = self._reader.submit(self._read, 1)

    def __call__(self, size: Size, seconds: float) -> UInt8:
        """See `Backdrop`."""
        turn = int(max(0.0, seconds) / self._seconds)
        if turn != self._turn:
            picture = self._next.result()
            picture = picture if turn == self._turn + 1 else self._read(turn)
            self._turn, self._next = turn, self._reader.submit(self._read, turn + 1)
            if picture is not None:  # else the files have gone, and what is shown stays
                self._still = Still(picture, self._fitting)
        return self._still(size, seconds)

    def close(self) -> None:
        """See `Backdrop`."""
        self._reader.shutdown(cancel_futures=True)

    def _read(self, turn: int) -> UInt8 | None:
        """The picture whose turn it is, or the first readable one after it; None if there is none any more."""
        while self._paths:
            path = self._paths[turn % len(self._paths)]
            try:
                return pictures.read(path)
            except InputError as error:
                print(f"warning: left out of the slideshow: {error}", file=sys.stderr)
                self._paths.remove(path)
        return None


class Film:
    """A video, from the beginning again when it ends, in step with the frames' time."""

    def __init__(self, path: Path, fitting: Fitting) -> None:
        """Open it.

        Raises:
            InputError: not one frame can be read.
        """
        self._video, self._fitting = LoopedVideo(path), fitting
        self._shown: UInt8 | None = None
        self._number = -1

    def __call__(self, size: Size, seconds: float) -> UInt8:
        """See `Backdrop`."""
        number, frame = self._video.at(seconds)
        if self._shown is None or number != self._number or self._shown.shape[:2] != size:
            self._number, self._shown = number, self._fitting(frame, size)
        return self._shown

    def close(self) -> None:
        """See `Backdrop`."""
        self._video.close()


def _kept(picture: UInt8) -> UInt8:
    """The picture, protected from being written to."""
    picture.flags.writeable = False
    return picture
