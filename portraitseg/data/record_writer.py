"""Writes the shards that `records` reads."""

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from portraitseg import image, jpeg
from portraitseg.data.checks import load_pair
from portraitseg.data.headers import PNG
from portraitseg.data.pairs import Pair
from portraitseg.data.records import FORMAT, INDEX, Part, Row, is_records
from portraitseg.errors import InputError
from portraitseg.image import UInt8

PER_SHARD = 1000
HEADER = 12  # bytes before a record: its length, and that one's checksum
FOOTER = 4  # and after it: its checksum
PNG_OPTIONS = (cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT)  # decoded in half of the time
AT_ONCE = 32  # samples encoded at a time


@dataclass(frozen=True)
class Encoded:
    """A sample as it is stored."""

    split: str
    name: str
    image: bytes
    mask: bytes


def write_records(
    pairs: dict[str, list[Pair]], out: Path, *, shards: int | None = None, longest: int | None = None, force: bool = False
) -> list[str]:
    """Write shards and their index into a new folder, which appears whole or not at all.

    Args:
        pairs: by split.
        out: the folder.
        shards: how many files; one for each 1,000 samples if not given.
        longest: pictures with a longer side are made smaller, as JPEG of quality 95; the files themselves are stored if not given.
        force: replace shards that are there.

    Returns:
        The broken pairs that were left out, in words.

    Raises:
        InputError: the folder exists, cannot be written to, or no pair can be read.
    """
    if out.exists() and not (is_records(out) and force) and not (out.is_dir() and not any(out.iterdir())):
        remedy = "add --force to replace its shards" if is_records(out) else "choose another output"
        raise InputError(f"{out} exists already; {remedy}")
    count = sum(map(len, pairs.values()))
    shards = -(-count // PER_SHARD) if shards is None else shards
    if not 1 <= shards <= count:
        raise InputError(f"--shards must be between 1 and the number of pictures, {count}; got {shards}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; choose an output folder that can be written to") from error
    try:
        left_out: list[str] = []
        (temporary / "new").mkdir()
        _write(
            temporary / "new", _encoded(pairs, longest, left_out), [len(part) for part in np.array_split(np.arange(count), shards)], longest
        )
        if is_records(out):
            out.rename(temporary / "before")
        (temporary / "new").rename(out)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}; free some space or choose another output") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return left_out


def _write(folder: Path, samples: Iterator[Encoded], counts: Sequence[int], longest: int | None) -> None:
    rows: list[Row] = []
    files = []
    for number, count in enumerate(counts):
        path = folder / f"shard-{number:05d}-of-{len(counts):05d}.tfrecord"
        rows += _write_shard(path, number, islice(samples, count))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files.append({"file": path.name, "bytes": path.stat().st_size, "sha256": digest})
    if not rows:
        raise InputError("none of the pairs can be read; replace the files")
    index = {"format": FORMAT, "count": len(rows), "longest": longest, "shards": files, "samples": rows}
    (folder / INDEX).write_text(json.dumps(index, separators=(",", ":")) + "\n", encoding="utf-8")


def _write_shard(path: Path, number: int, samples: Iterator[Encoded]) -> list[Row]:
    import tensorflow as tf

    rows, start = [], 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for sample in samples:
            record = _example(sample)
            writer.write(record)
            parts = [_part(record, data, start + HEADER) for data in (sample.image, sample.mask)]
            rows.append(Row(sample.split, sample.name, number, *parts))
            start += HEADER + len(record) + FOOTER
    return rows


def _example(sample: Encoded) -> bytes:
    import tensorflow as tf

    values = {"image": sample.image, "mask": sample.mask, "name": sample.name.encode()}
    features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for key, value in values.items()}
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True))


def _part(record: bytes, data: bytes, start: int) -> Part:
    return Part(start + record.index(data), len(data), zlib.crc32(data))


def _encoded(pairs: dict[str, list[Pair]], longest: int | None, left_out: list[str]) -> Iterator[Encoded]:
    """The samples in order, encoded in parallel; what is wrong with a broken one goes to `left_out`."""

    def encode(item: tuple[str, Pair]) -> Encoded | InputError:
        try:
            return _encode(*item, longest)
        except InputError as error:
            return error

    items = [(split, pair) for split, part in pairs.items() for pair in part]
    with ThreadPoolExecutor() as pool, tqdm(total=len(items), unit="picture", leave=False, disable=None) as bar:
        for start in range(0, len(items), AT_ONCE):
            for sample in pool.map(encode, items[start : start + AT_ONCE]):
                bar.update()
                if isinstance(sample, InputError):
                    left_out.append(str(sample))
                else:
                    yield sample


def _encode(split: str, pair: Pair, longest: int | None) -> Encoded:
    picture, mask = load_pair(pair)
    scale = min(1.0, (longest or max(mask.shape)) / max(mask.shape))
    if scale < 1:
        size = (max(1, round(scale * mask.shape[0])), max(1, round(scale * mask.shape[1])))
        small = cv2.cvtColor(image.resize(picture, size), cv2.COLOR_RGB2BGR)
        return Encoded(
            split, pair.name, _file(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95]), _file(".png", image.resize(mask, size), PNG_OPTIONS)
        )
    stored = pair.image.read_bytes()
    if not stored.startswith((jpeg.START, PNG)):
        stored = _file(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), PNG_OPTIONS)
    return Encoded(split, pair.name, stored, _file(".png", mask, PNG_OPTIONS))


def _file(suffix: str, pixels: UInt8 | Any, options: Sequence[int]) -> bytes:
    return bytes(cv2.imencode(suffix, pixels, list(options))[1])
