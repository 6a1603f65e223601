"""The folder in which a video grows: closed parts, and a note of them that is always whole."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.live.frames import Position

NOTE = "parts.json"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A closed file of the folder."""

    file: str
    start: int
    """Ticks of its first frame in the whole video."""
    frames: int


@dataclass(frozen=True, kw_only=True)
class Note:
    """What is in the folder."""

    settings: dict[str, Any]
    """What must not change from one part to the next."""
    size: tuple[int, int] = (0, 0)
    """(h,w) of the video."""
    origin: float = 0.0
    """Time of the first frame, as its source counts."""
    parts: tuple[Part, ...] = ()
    end: int = 0
    """Ticks at which the last frame begins."""
    last: Position | None = None

    @property
    def frames(self) -> int:
        """Frames in all parts."""
        return sum(part.frames for part in self.parts)

    def begun(self, *, size: tuple[int, int], origin: float) -> "Note":
        """With what the first frame tells."""
        return replace(self, size=size, origin=origin)

    def add(self, part: Part, *, end: int, last: Position) -> "Note":
        """With one more part."""
        return replace(self, parts=(*self.parts, part), end=end, last=last)


def folder_of(out: Path) -> Path:
    """Where the parts of the video `out` lie while it grows."""
    return out.with_name(f"{out.name}.parts")


def begin(out: Path, settings: dict[str, Any], *, force: bool, resume: bool) -> Note:
    """Make the folder, or go on with the one of an earlier run.

    Raises:
        InputError: there is one, and neither `force` nor `resume` is set; or it was begun with other settings.
    """
    folder = folder_of(out)
    found = load(folder)
    if found is not None and not (force or resume):
        raise InputError(f"{folder} holds {found.frames} frames of an interrupted run; add --resume to go on, or --force to begin anew")
    if found is not None and resume:
        _compare(folder, found.settings, settings)
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}; choose an output folder that can be written to") from error
    note = Note(settings=settings)
    save(folder, note)
    return note


def load(folder: Path) -> Note | None:
    """Read the note of a folder; None if there is none.

    Raises:
        InputError: it is damaged, or a part is missing.
    """
    path = folder / NOTE
    if not path.exists():
        return None
    try:
        read = json.loads(path.read_text())
        parts = tuple(Part(**part) for part in read.pop("parts"))
        last = read.pop("last")
        note = Note(**{**read, "size": tuple(read["size"])}, parts=parts, last=Position(**last) if last else None)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove {folder} and begin anew") from error
    missing = [part.file for part in parts if not (folder / part.file).is_file()]
    if missing:
        raise InputError(f"{folder} lacks {missing[0]}, which it had; put it back, or remove the folder and begin anew")
    return note


def save(folder: Path, note: Note) -> None:
    """Write the note, whole or not at all.

    Raises:
        InputError: the disk is full.
    """
    with atomic(folder / NOTE) as temporary:
        temporary.write_text(json.dumps(asdict(note), indent=1))


def remove(folder: Path) -> None:
    """Remove what a recording made, and the folder if nothing else is in it."""
    for path in folder.iterdir():
        if path.name == NOTE or path.stem.isdecimal() or path.stem == "whole":
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _compare(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    for name in before.keys() | now.keys():
        was, given = before.get(name), now.get(name)
        if was != given:
            raise InputError(f"{folder} was begun with {name} {was!r}, got {given!r}; resume with the same, or --force to begin anew")
