"""Pairs read from a CSV with the columns image and mask, and split if there is one."""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from portraitseg.data.pairs import Found, Pair, split_of
from portraitseg.errors import InputError

SUFFIXES = (".csv", ".tsv")
IMAGE_COLUMNS = ("image", "images", "img", "picture", "photo", "file", "filename", "path")
MASK_COLUMNS = ("mask", "masks", "label", "matte", "alpha", "annotation", "segmentation")


def is_table(path: Path) -> bool:
    """Whether the file is a CSV with columns for pictures and masks."""
    return path.suffix.lower() in SUFFIXES and path.is_file() and _columns(path) is not None


def read_table(table: Path) -> Found:
    """Read a CSV, delimited by comma, semicolon or tab; its paths are relative to its own folder.

    Raises:
        InputError: a column is missing, or the file is no CSV.
    """
    columns = _columns(table)
    if columns is None:
        raise InputError(f'{table} lacks a column "image" or "mask"; its first line must name the columns, such as: image,mask')
    found = Found()
    for image, mask, split in _cells(table, columns):
        pair = Pair(PurePosixPath(image).with_suffix("").as_posix() if image else "", table.parent / image, table.parent / mask)
        if not image or not pair.image.is_file():
            found.without_image.append(mask or "a line without names")
        elif not mask or not pair.mask.is_file():
            found.without_mask.append(image)
        else:
            found.pairs.setdefault(split_of(split), []).append(pair)
    return found


def _columns(table: Path) -> tuple[str, str, str] | None:
    """The names of the image, mask and split columns as the table spells them."""
    header = _header(table).split(_delimiter(table))
    names = {name.strip(' "').lower().removesuffix("_path"): name.strip('"') for name in header}
    image = next((names[name] for name in IMAGE_COLUMNS if name in names), None)
    mask = next((names[name] for name in MASK_COLUMNS if name in names), None)
    return (image, mask, names.get("split", "")) if image is not None and mask is not None else None


def _header(table: Path) -> str:
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline().rstrip("\r\n")


def _delimiter(table: Path) -> str:
    return max(",;\t", key=_header(table).count)


def _cells(table: Path, columns: tuple[str, str, str]) -> Iterator[tuple[str, str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            for row in csv.DictReader(file, delimiter=_delimiter(table)):
                image, mask, split = ((row.get(column) or "").strip() for column in columns)
                yield image.replace("\\", "/"), mask.replace("\\", "/"), split
    except csv.Error as error:
        raise InputError(f"{table} is no CSV ({error}); save it as comma-separated text") from error
