"""The files that make up one model: mostly one, for OpenVINO two, for a SavedModel a folder of them."""

import hashlib
import shutil
from pathlib import Path

from portraitseg.errors import InputError
from portraitseg.files import atomic


def parts(model: Path) -> list[Path]:
    """All files of a model, in the order in which they are counted: a folder's by their names, an .xml and the .bin of the same name.

    Raises:
        InputError: the .bin is missing.
    """
    if model.is_dir():
        return sorted((path for path in model.rglob("*") if path.is_file()), key=lambda path: path.relative_to(model).as_posix())
    if model.suffix.lower() != ".xml":
        return [model]
    weights = model.with_suffix(".bin")
    if not weights.is_file():
        raise InputError(f"{model} holds the graph alone; its weights must be beside it in {weights.name}; copy that file too")
    return [model, weights]


def size(model: Path) -> int:
    """Of all files together, in bytes."""
    return sum(path.stat().st_size for path in parts(model))


def sha256(model: Path) -> str:
    r"""The digest that a card names: of a single file's content, else of the list that `sha256sum` prints of the files.

    For a folder that is `find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum`, for OpenVINO
    `sha256sum NAME.xml NAME.bin | sha256sum`.
    """
    files = parts(model)
    if files == [model]:
        return _sha256(model)
    base = model if model.is_dir() else model.parent
    return hashlib.sha256("".join(f"{_sha256(path)}  {path.relative_to(base).as_posix()}\n" for path in files).encode()).hexdigest()


def move(made: Path, model: Path) -> None:
    """Put a model that was made elsewhere on the same disk in its place, instead of what is there; each file whole or not at all.

    Raises:
        InputError: the place cannot be written to.
    """
    if made.is_dir():
        _replace_folder(made, model)
        return
    for part in reversed(parts(made)):  # the .bin before the .xml that needs it
        with atomic(model.with_suffix(part.suffix)) as temporary:
            part.replace(temporary)


def _replace_folder(made: Path, model: Path) -> None:
    aside = made.with_name(f"{made.name}-before")  # beside the new one, in a folder that goes
    try:
        if model.exists():
            model.replace(aside)
        made.replace(model)
    except OSError as error:
        raise InputError(f"cannot write {model}: {error.strerror}; choose another output") from error
    shutil.rmtree(aside, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
