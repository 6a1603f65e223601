"""Where samples come from: a folder or a CSV of pictures with masks, or the synthetic set, split for training and validation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portraitseg.data.checks import check_masks, check_pairs, load_pair
from portraitseg.data.discovery import discover
from portraitseg.data.pairs import Found, Pair, listed
from portraitseg.errors import InputError
from portraitseg.image import UInt8

__all__ = ["Dataset", "Folder", "Pair", "Source", "find_pairs", "in_validation", "open_data"]

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
        data: a folder or a CSV; None for the synthetic set.
        val: a folder or a CSV to validate on.
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
    found = discover(data)
    report = [f"{data}: pictures with a mask: {len(found.all())}", *found.left_out(), *found.notes]
    if val is None and not (found.pairs.get("train") and _held_out(found)):
        return _split(data, found, report, val_fraction, seed)
    train, lines = check_pairs(found.pairs.get("train") or found.all(), data)
    if val is None:
        held, more = check_pairs(found.pairs[_held_out(found)], data)
        more += check_masks(held) + _unused(data, found, "train", _held_out(found))
    else:
        held, more = find_pairs(val)
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
    ranked = sorted(pairs, key=lambda pair: _hash(pair.name, seed))
    count = sum(in_validation(pair.name, fraction, seed) for pair in pairs)
    cut = min(max(count, 1), len(pairs) - 1)  # a small set keeps one picture on either side
    held = {pair.name for pair in ranked[:cut]}
    train = [pair for pair in pairs if pair.name not in held]
    return _dataset(train, [pair for pair in pairs if pair.name in held], report + lines)


def _dataset(train: list[Pair], held: list[Pair], report: list[str]) -> Dataset:
    counts = f"{len(train)} to train on, {len(held)} to validate on"
    return Dataset(train=Folder(train), val=Folder(held), report=[*report, *check_masks(train), counts])


def _synthetic(val: Path | None, seed: int, size: int) -> Dataset:
    from portraitseg.data.synthetic import DESCRIPTION, Synthetic

    report = [DESCRIPTION]
    held: Source = Synthetic(SYNTHETIC_VAL, seed=2 * seed + 1, size=size)
    if val is not None:
        pairs, lines = find_pairs(val)
        held, report = Folder(pairs), report + lines
    return Dataset(train=Synthetic(SYNTHETIC_TRAIN, seed=2 * seed, size=size), val=held, report=report)


def _held_out(found: Found) -> str:
    """The part to validate on: "val", else "test", else "" for none."""
    return next((part for part in ("val", "test") if found.pairs.get(part)), "")


def _unused(root: Path, found: Found, *used: str) -> list[str]:
    return [f"{root}: its part {part!r} is not used ({len(found.pairs[part])})" for part in sorted(set(found.pairs) - set(used))]


def _shared(train: list[Pair], held: list[Pair]) -> list[str]:
    both = {pair.image.resolve() for pair in train} & {pair.image.resolve() for pair in held}
    return [f"warning: pictures in both the training and the validation set: {listed(path.name for path in both)}"] if both else []
