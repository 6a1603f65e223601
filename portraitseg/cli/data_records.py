"""Write a folder or a CSV of pictures with masks as TFRecord shards, for sets too large to be read file by file.

`--data SHARDS` of train, eval and the other commands then takes them like the folder: the split, the order and, unless --longest made
them smaller, every pixel are the same.
"""

from dataclasses import dataclass
from pathlib import Path

from portraitseg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to write."""

    data: Path
    """Folder or CSV of pictures with masks."""
    out: Path
    """Folder of the shards."""
    shards: int | None = None
    """How many files (default: one for each 1,000 pictures)."""
    longest: int | None = None
    """Make pictures with a longer side smaller, to so many pixels (default: store the files as they are)."""
    force: bool = False
    """Replace the shards in OUT if there are any."""


def run(config: Config) -> int:
    """Find the pairs, write them, say what came out."""
    from portraitseg.data.checks import check_masks, check_pairs
    from portraitseg.data.discovery import discover
    from portraitseg.data.record_writer import write_records
    from portraitseg.data.records import open_records
    from portraitseg.quiet import load_tensorflow

    if config.longest is not None and config.longest < 32:
        raise InputError(f"--longest must be at least 32 px, got {config.longest}; the default keeps the files as they are")
    found = discover(config.data)
    good, lines = check_pairs(found.all(), config.data)
    print("\n".join([*found.left_out(), *found.notes, *lines, *check_masks(good)]), end="\n" if lines else "")
    load_tensorflow()
    usable = set(good)
    pairs = {split: [pair for pair in part if pair in usable] for split, part in found.pairs.items()}
    left_out = write_records(pairs, config.out, shards=config.shards, longest=config.longest, force=config.force)
    for text in left_out:
        print(f"warning: left out: {text}")
    records = open_records(config.out)
    size = sum(path.stat().st_size for path in records.shards)
    print(f"{len(records)} pictures in {len(records.shards)} shards, {size / 1e6:.1f} MB: train.py --data {config.out}")
    return 0
