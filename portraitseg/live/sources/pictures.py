"""A folder of pictures, or one picture, as a source."""

import threading
from collections.abc import Iterator
from pathlib import Path

from portraitseg import image
from portraitseg.data.frames import order
from portraitseg.errors import InputError
from portraitseg.live.frames import Frame, Position
from portraitseg.live.notices import Notice

FPS = 30.0


class Pictures:
    """Pictures in the order of their names, numbers by their value; each upright, each of its own size; broken ones are left out."""

    live = False

    def __init__(self, path: Path, *, fps: float | None, after: Position | None, notice: Notice) -> None:
        """List the folder, or take the one file.

        Raises:
            InputError: the folder holds no pictures.
        """
        self._path, self._notice = path, notice
        self._paths = _listed(path) if path.is_dir() else [path]
        self._start = after.index + 1 if after else 0
        self.fps = fps or FPS
        self.count = len(self._paths)
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        broken = []
        for index, path in enumerate(self._paths[self._start :], self._start):
            if self._closed.is_set():
                return
            try:
                picture = image.read(path)
            except InputError as error:
                broken.append(error)
                continue
            yield Frame(image=picture, time=index / self.fps, index=index)
        self._report(broken)

    def close(self) -> None:
        """See `Source`."""
        self._closed.set()

    def _report(self, broken: list[InputError]) -> None:
        tried = len(self._paths) - self._start
        if broken and len(broken) == tried:
            raise broken[0]
        if broken:
            self._notice(f"{len(broken)} of {tried} pictures in {self._path} were left out; the first: {broken[0]}")


def _listed(folder: Path) -> list[Path]:
    paths = [path for path in folder.iterdir() if path.suffix.lower() in image.SUFFIXES and path.is_file() and path.name[0] != "."]
    if not paths:
        raise InputError(f"{folder} holds no pictures; give a folder of pictures ({image.FORMATS}), a video file or a camera's number")
    return sorted(paths, key=lambda path: order(path.name))
