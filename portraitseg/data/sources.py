"""Where samples come from: a folder, a CSV or shards of pictures with masks, or the synthetic set, split for training and validation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portraitseg.data.checks import check_masks, check_pairs, load_pair
from portraitseg.data.discovery import discover
from portraitseg.data.pairs import Found, Pair, listed
from portraitseg.data.records import is_records, open_records
from portraitseg.errors import InputError
from portraitseg.image import UInt8

__all__ = ["Dataset", "Folder", "Pair", "Source", "find_pairs", "find_source", "in_validation", "open_data"]

SYNTHETIC_TRAIN = 1792
SYNTHETIC_VAL = 128


class Source(Protocol):
    """Samples by index."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """The sample's name, unique within the source."""
        ...

    def load(self, index: int) -> tuple[UInt8, UInt8]:
        """Picture, RGB (H,W,3), and mask (H,W), 0 to 255.

        Raises:
            InputError: the sample's file is broken.
        """
        ...


class Folder:
    """The pairs of a folder or a CSV, read when asked for."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = tuple(pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        """The picture's path below its folder, without suffix."""
        return self.pairs[index].name

    def load(self, index: int) -> tuple[UInt8, UInt8]:
        """Picture, RGB (H,W,3), and mask (H,W), 0 to 255, brought to the picture's size.

        Raises:
            InputError: a file is missing or broken, or the two do not fit each other.
        """
        return load_pair(self.pairs[index])


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A training and a validation source, and the lines to print about what was found and left out."""

    train: Source
    val: Source
    report: list[str]


def open_data(data: Path | None, val: Path | None = None, *, val_fraction: float = 0.1, seed: int = 0, size: int = 256) -> Dataset:
    """Open a data set.

    The validation set is `val` if given, else the data's own val/, else the share `val_fraction` of the names, chosen by a hash of
    each name: a picture stays on its side when others are added.

    Args:
        data: a folder, a CSV or shards; None for the synthetic set.
        val: a folder, a CSV or shards to validate on.
        val_fraction: in (0,1).
        seed: of the split, or of the synthetic set.
        size: side of the synthetic pictures in pixels.

    Raises:
        InputError: a folder is missing, empty or not understood; every pair is broken; one picture cannot be split.
    """
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction must lie between 0 and 1, got {val_fraction}; try 0.1")
    if data is None:
        return _synthetic(val, seed, size)
    if is_records(data):
        return _shards(data, val, val_fraction, seed)
    found = discover(data)
    report = [f"{data}: pictures with a mask: {len(found.all())}", *found.left_out(), *found.notes]
    if val is None and not (found.pairs.get("train") and _held_out(found)):
        return _split(data, found, report, val_fraction, seed)
    train, lines = check_pairs(found.pairs.get("train") or found.all(), data)
    if val is None:
        pairs, more = check_pairs(found.pairs[_held_out(found)], data)
        held: Source = Folder(pairs)
        more += check_masks(pairs) + _unused(data, found, "train", _held_out(found))
    else:
        held, more = find_source(val)
        more += _unused(data, found, "train") if "train" in found.pairs else []
    return _dataset(train, held, [*report, *lines, *more, *_shared(train, held)])


def find_pairs(root: Path) -> tuple[list[Pair], list[str]]:
    """Find the usable pairs of a folder or a CSV (of its val, or else test part alone if it has parts), and the lines to print.

    Raises:
        InputError: the folder is missing, empty or not understood; every pair is broken.
    """
    found = discover(root)
    part = _held_out(found)
    pairs, lines = check_pairs(found.pairs[part] if part else found.all(), root)
    report = [f"{root}: pictures with a mask: {len(found.all())}", *found.left_out(), *found.notes, *lines]
    return pairs, report + (_unused(root, found, part) if part else []) + check_masks(pairs)


def find_source(root: Path) -> tuple[Source, list[str]]:
    """What to validate on in a folder, a CSV or shards (their val, or else test part alone if they have parts), and the lines to print.

    Raises:
        InputError: as in `find_pairs`, or the shards are broken.
    """
    if not is_records(root):
        pairs, report = find_pairs(root)
        return Folder(pairs), report
    records = open_records(root)
    parts = records.parts()
    part = next((part for part in ("val", "test") if part in parts), "")
    unused = [f"{root}: its part {other!r} is not used ({len(parts[other])})" for other in sorted(set(parts) - {part}) if part]
    return parts[part] if part else records, [f"{root}: pictures with a mask in shards: {len(records)}", *unused]


def in_validation(name: str, fraction: float, seed: int) -> bool:
    """Whether the picture `name` is held out: a hash of it, spread evenly over [0,1), lies below `fraction`."""
    return _hash(name, seed) < fraction


def _hash(name: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _split(data: Path, found: Found, report: list[str], fraction: float, seed: int) -> Dataset:
    pairs, lines = check_pairs(found.all(), data)
    if len(pairs) < 2:
        raise InputError(f"{data} has 1 usable pair, which cannot be split; add pictures or give --val DIR")
    held = _held_names([pair.name for pair in pairs], fraction, seed)
    train = [pair for pair in pairs if pair.name not in held]
    return _dataset(train, Folder([pair for pair in pairs if pair.name in held]), report + lines)


def _held_names(names: Sequence[str], fraction: float, seed: int) -> set[str]:
    """The names to validate on; a small set keeps one on either side."""
    count = sum(in_validation(name, fraction, seed) for name in names)
    return set(sorted(names, key=lambda name: _hash(name, seed))[: min(max(count, 1), len(names) - 1)])


def _dataset(train: list[Pair], held: Source, report: list[str]) -> Dataset:
    return Dataset(train=Folder(train), val=held, report=[*report, *check_masks(train), _counts(Folder(train), held)])


def _counts(train: Source, held: Source) -> str:
    return f"{len(train)} to train on, {len(held)} to validate on"


def _shards(data: Path, val: Path | None, fraction: float, seed: int) -> Dataset:
    """Shards keep the split of the folder that they were written from; without one it is made by the names, as for the folder."""
    records = open_records(data)
    parts, report = records.parts(), [f"{data}: pictures with a mask in shards: {len(records)}"]
    if val is not None or ("train" in parts and ("val" in parts or "test" in parts)):
        train, (held, more) = parts.get("train", records), find_source(val or data)
        return Dataset(train=train, val=held, report=[*(report if val else []), *more, _counts(train, held)])
    if len(records) < 2:
        raise InputError(f"{data} has 1 picture, which cannot be split; add pictures or give --val DIR")
    names = _held_names([row.name for row in records.rows], fraction, seed)
    held = records.take(row for row in records.rows if row.name in names)
    train = records.take(row for row in records.rows if row.name not in names)
    return Dataset(train=train, val=held, report=[*report, _counts(train, held)])


def _synthetic(val: Path | None, seed: int, size: int) -> Dataset:
    from portraitseg.data.synthetic import DESCRIPTION, Synthetic

    report = [DESCRIPTION]
    held: Source = Synthetic(SYNTHETIC_VAL, seed=2 * seed + 1, size=size)
    if val is not None:
        held, lines = find_source(val)
        report += lines
    return Dataset(train=Synthetic(SYNTHETIC_TRAIN, seed=2 * seed, size=size), val=held, report=report)


def _held_out(found: Found) -> str:
    """The part to validate on: "val", else "test", else "" for none."""
    return next((part for part in ("val", "test") if found.pairs.get(part)), "")


def _unused(root: Path, found: Found, *used: str) -> list[str]:
    return [f"{root}: its part {part!r} is not used ({len(found.pairs[part])})" for part in sorted(set(found.pairs) - set(used))]


def _shared(train: list[Pair], held: Source) -> list[str]:
    if not isinstance(held, Folder):
        return []
    both = {pair.image.resolve() for pair in train} & {pair.image.resolve() for pair in held.pairs}
    return [f"warning: pictures in both the training and the validation set: {listed(path.name for path in both)}"] if both else []
