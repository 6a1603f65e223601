"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portraitseg.errors import InputError


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse to overwrite `path` unless `force`.

    Raises:
        InputError: `path` exists and `force` is not set.
    """
    if path.exists() and not force:
        raise InputError(f"{path} exists already; add --force to overwrite it, or choose another output")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to, with the same suffix; rename it to `path` if the block succeeds.

    The folder is made when missing. On an error the temporary file is removed and `path` stays as it was.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose an output folder that can be written to") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}; free some space or choose another output") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
