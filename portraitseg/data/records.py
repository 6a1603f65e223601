"""TFRecord shards: a large set in a few large files instead of millions of small ones.

A shard is what `tf.data.TFRecordDataset` reads: tf.train.Example with "image" (the JPEG or PNG file), "mask" (a PNG, 255 = person) and
"name". An index beside the shards says where each picture's bytes lie, so that any sample is read alone: order, split and resuming are
those of a folder, and reading takes no TensorFlow.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np

from portraitseg.errors import InputError
from portraitseg.image import UInt8

INDEX = "records.json"
FORMAT = "portraitseg-records-1"
REMEDY = "copy the shards again, or write them again with `portraitseg data records`"


class Part(NamedTuple):
    """Where some bytes lie in a shard."""

    at: int
    length: int
    crc: int
    """zlib.crc32."""


class Row(NamedTuple):
    """One sample in the index."""

    split: str
    """"train", "val", "test", or "" where there is none."""
    name: str
    shard: int
    image: Part
    mask: Part


class Records:
    """Samples in shards, read when asked for. Thread-safe."""

    def __init__(self, shards: Sequence[Path], rows: Sequence[Row]) -> None:
        self.shards, self.rows = tuple(shards), tuple(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        """The picture's path below the folder that it came from, without suffix."""
        return self.rows[index].name

    def load(self, index: int) -> tuple[UInt8, UInt8]:
        """Picture, RGB (H,W,3), and mask (H,W), 0 to 255.

        Raises:
            InputError: the shard is missing, or its bytes changed.
        """
        row = self.rows[index]
        shard = self.shards[row.shard]
        try:
            with shard.open("rb") as file:
                image, mask = _read(file, row.image), _read(file, row.mask)
        except OSError as error:
            raise InputError(f"cannot read {shard}: {error.strerror}; {REMEDY}") from error
        if image is None or mask is None:
            raise InputError(f"{shard} is broken at {row.name}; {REMEDY}")
        return _decoded(image, cv2.IMREAD_COLOR_RGB), _decoded(mask, cv2.IMREAD_GRAYSCALE)

    def parts(self) -> dict[str, "Records"]:
        """The samples of each split."""
        return {split: self.take(row for row in self.rows if row.split == split) for split in dict.fromkeys(row.split for row in self.rows)}

    def take(self, rows: Iterable[Row]) -> "Records":
        """Some of the samples."""
        return Records(self.shards, tuple(rows))


def is_records(path: Path) -> bool:
    """Whether the folder holds shards with their index."""
    return (path / INDEX).is_file()


def open_records(root: Path) -> Records:
    """Open a folder of shards; their sizes are compared with the index, their contents when they are read.

    Raises:
        InputError: the index is not understood, or a shard is missing or of another size.
    """
    try:
        index = json.loads((root / INDEX).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise InputError(f"{root / INDEX} is of the format {index['format']!r}, understood is {FORMAT!r}; {REMEDY}")
        shards = {root / shard["file"]: int(shard["bytes"]) for shard in index["shards"]}
        rows = [Row(split, name, shard, Part(*image), Part(*mask)) for split, name, shard, image, mask in index["samples"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{root / INDEX} is no index of shards ({error}); {REMEDY}") from error
    for path, size in shards.items():
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            raise InputError(f"{path} {'is missing' if found is None else f'has {found} bytes instead of {size}'}; {REMEDY}")
    if not rows or not all(0 <= row.shard < len(shards) for row in rows):
        raise InputError(f"{root / INDEX} names no sample, or a shard that it does not list; {REMEDY}")
    return Records(list(shards), rows)


def _read(file: BinaryIO, part: Part) -> bytes | None:
    file.seek(part.at)
    data = file.read(part.length)
    return data if len(data) == part.length and zlib.crc32(data) == part.crc else None


def _decoded(data: bytes, flag: int) -> UInt8:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), flag), np.uint8)
