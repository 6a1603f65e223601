"""A folder of numbered pictures, with a table of their times."""

import contextlib
import csv
import threading
from pathlib import Path
from typing import TextIO

from portraitseg import image as pictures
from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live.frames import Frame, Position

TABLE = "frames.csv"
FORMATS = ("png", "jpg")


class PictureFolder:
    """FOLDER/000000.png and so on, named by the frames' numbers; frames.csv has the time of each, in seconds."""

    def __init__(self, folder: Path, *, suffix: str, transparent: bool, force: bool, resume: bool) -> None:
        """Prepare the folder.

        Args:
            folder: made if missing.
            suffix: one of `FORMATS`.
            transparent: pictures are RGBA.
            force: remove the pictures of an earlier run.
            resume: go on behind the last picture of an earlier run.

        Raises:
            InputError: the folder holds something, or cannot be written to; JPEG is to be transparent.
        """
        if suffix not in FORMATS:
            raise InputError(f"pictures are written as {' or '.join(FORMATS)}, got {suffix!r}")
        if transparent and suffix != "png":
            raise InputError("JPEG has no transparency; write png")
        self._folder, self._suffix = folder, suffix
        self._lock = threading.Lock()
        try:
            rows = _prepare(folder, force=force, resume=resume)
            self._table: TextIO | None = (folder / TABLE).open("a", newline="")
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror}; choose a folder that can be written to") from error
        self.done = Position(index=int(Path(rows[-1][0]).stem), time=float(rows[-1][1])) if rows else None

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`."""
        path = self._folder / f"{frame.index:06d}.{self._suffix}"
        with self._lock:
            if self._table is None:
                return
            pictures.write(path, image, force=True)  # a run that was killed may have left this one without its row
            try:
                csv.writer(self._table).writerow([path.name, repr(frame.time)])
                self._table.flush()
            except OSError as error:
                raise InputError(f"cannot write {self._folder / TABLE}: {error.strerror}; free some space and resume") from error

    def finish(self) -> None:
        """See `Sink`."""
        self.close()

    def close(self) -> None:
        """See `Sink`."""
        with self._lock:
            if self._table is not None:
                with contextlib.suppress(OSError):  # the row that the disk had no room for
                    self._table.close()
                self._table = None


def _prepare(folder: Path, *, force: bool, resume: bool) -> list[list[str]]:
    """Make the folder; give the rows that stay, without one that was cut off, and leave only those in the table."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / TABLE
    lines = table.read_text().splitlines(keepends=True) if table.exists() else []
    rows = list(csv.reader(line for line in lines if line.endswith("\n")))
    if any(folder.iterdir()) and not (rows and (force or resume)):
        raise InputError(f"{folder} holds files already; choose another folder{', or add --force or --resume' if rows else ''}")
    if not resume:
        for name, _ in rows:
            (folder / name).unlink(missing_ok=True)
        rows = []
    table.write_text("".join(f"{name},{time}\r\n" for name, time in rows), newline="")
    return rows
