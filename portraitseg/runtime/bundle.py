"""Unpack a bundle (.zip) as one unpacks what strangers send."""

import hashlib
import re
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from portraitseg.card import card_path
from portraitseg.errors import InputError

SUMS = "SHA256SUMS"
MAX_BYTES = 2**29
"""Of all files together, unpacked."""
MAX_FILES = 1000
NAME = re.compile(r"(?!\.)[\w. +()@,=-]+")
"""What a part of a path in a bundle may be: no separators, drives, control characters, nor a dot in front."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    IndexError,
    OSError,
    OverflowError,
    ValueError,
)
"""What zipfile raises for damaged, encrypted and odd archives."""


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a bundle into `folder`, which is empty, and give the artifact.

    Nothing is written before every name, size and kind was looked at, and nothing is kept whose digest is not in SHA256SUMS.

    Raises:
        InputError: the archive is broken, too large, or not a bundle; or it tries to write elsewhere.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(entries)
            contents = {entry.filename: archive.read(entry) for entry in entries}
    except BROKEN as error:
        raise InputError(f"cannot unpack {path}: {error}; copy it again or bundle the model again") from error
    top = _top(contents, path)
    _check_sums({name.removeprefix(top): content for name, content in contents.items()}, path)
    for name, content in contents.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return _artifact(folder / top, path)


def _check(entries: list[zipfile.ZipInfo]) -> None:
    """Raises a ValueError for what no bundle holds."""
    names = [entry.filename for entry in entries]
    if len(entries) > MAX_FILES or len({name.lower() for name in names}) < len(names):
        raise ValueError(f"it holds {len(entries)} files, or one twice; {MAX_FILES} at the most, each once")
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise ValueError(f"its files have more than {MAX_BYTES >> 20} MB")
    for entry in entries:
        if not all(NAME.fullmatch(part) for part in entry.filename.split("/")):
            raise ValueError(f"a file may not be named {entry.filename!r}"[:200])
        if stat.S_ISLNK(entry.external_attr >> 16) or entry.compress_type not in METHODS:
            raise ValueError(f"{entry.filename} is a link, or compressed in another way than deflate"[:200])


def _top(contents: dict[str, bytes], path: Path) -> str:
    """The one folder that all lies in, with its slash."""
    tops = {name.partition("/")[0] for name in contents}
    if len(tops) != 1 or not all("/" in name for name in contents):
        raise InputError(
            f"{path} is no bundle: it must hold one folder with an artifact, its card and {SUMS}; `portraitseg bundle` makes it"
        )
    return f"{tops.pop()}/"


def _check_sums(contents: dict[str, bytes], path: Path) -> None:
    lines = contents.pop(SUMS, b"").decode(errors="replace").splitlines()
    said = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    if said != found:
        names = sorted(name for name in said.keys() | found.keys() if said.get(name) != found.get(name))
        raise InputError(f"{path} is damaged: {', '.join(names)[:200]} and {SUMS} do not agree; copy it again or bundle the model again")


def _artifact(folder: Path, path: Path) -> Path:
    """The one file or folder that has a card beside it."""
    found = [entry for entry in folder.iterdir() if card_path(entry).is_file()]
    if len(found) != 1:
        raise InputError(f"{path} must hold one artifact with its card, but holds {len(found)}; `portraitseg bundle` makes such a bundle")
    return found[0]
