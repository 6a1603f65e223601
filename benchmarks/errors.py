"""What a net gets wrong: its worst pictures to look at, and how far from the true edge the false pixels of each picture lie.

Into --out go errors.csv, a line a picture, and worst-1.png, worst-2.png, ... with the worst first: picture, truth, prediction, difference
(red: taken for a person, blue: missed), and the difference of each net in --beside. Printed are where the false pixels lie and, with
--subsets, what each costs: by how many points the mIoU of the whole set would rise if those pictures had no error.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro
from errors_figures import EDGE, REACHES, Counts, costs, distance, summary
from tqdm import tqdm

from portraitseg import sheet
from portraitseg.data.sources import Source, find_source
from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.image import UInt8, resize, write
from portraitseg.metrics import confusion, iou
from portraitseg.publish.accuracy import read_subsets
from portraitseg.runtime import Runtime, foreign_card, has_card, open_artifact, predict

SIDE = 224  # longer side of a panel in pixels
LINES = 5  # of a sheet


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the analysis."""

    model: Annotated[str, tyro.conf.Positional]
    """An artifact or a checkpoint with its card beside it, or FILE=RANGE of one without, such as peer.tflite=0..1 (or -1..1, 0..255,
    imagenet)."""
    data: Path
    """Pictures with masks, found as in training: a folder, a CSV or shards."""
    beside: tuple[str, ...] = ()
    """Nets to compare with, each given like the model."""
    subsets: Path | None = None
    """A CSV with the columns picture and subset, a line a membership, such as benchmarks/subsets.csv and results/errors.csv."""
    worst: int = 50
    """How many pictures to draw."""
    out: Path = Path("runs/errors")
    """Folder to write to."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One picture."""

    picture: str
    counts: Counts
    near: np.ndarray
    """False pixels within each of `REACHES`."""
    ious: tuple[float, ...]
    """Of the person in %, by the model and the nets beside it."""


def main() -> None:
    """Predict, write, print."""
    config = tyro.cli(Config, description=__doc__)
    try:
        if config.worst < 0:
            raise InputError(f"--worst must be 0 or more, got {config.worst}")
        nets = [_open(text) for text in (config.model, *config.beside)]
        source, _ = find_source(config.data)
        subsets = read_subsets(config.subsets, source) if config.subsets else {}
        rows = _analyse(config, source, nets)
    except InputError as error:
        sys.exit(f"error: {error}")
    counts = {row.picture: row.counts for row in rows}
    print("\n".join([*summary(len(rows), sum(counts.values()), sum(row.near for row in rows)), *costs(counts, subsets)]))


def _analyse(config: Config, source: Source, nets: Sequence[tuple[str, Runtime]]) -> list[Row]:
    names, runtimes = zip(*nets, strict=True)
    rows = [compare(source, index, runtimes) for index in tqdm(range(len(source)), unit="picture", disable=None)]
    _write(config.out / "errors.csv", rows, names[1:])
    worst = sorted(range(len(rows)), key=lambda index: rows[index].ious[0])[: config.worst]
    for start in range(0, len(worst), LINES):
        drawn = draw(source, {index: rows[index] for index in worst[start : start + LINES]}, runtimes)
        write(config.out / f"worst-{start // LINES + 1}.png", drawn, force=True)
    return rows


def compare(source: Source, index: int, nets: Sequence[Runtime]) -> Row:
    """Compare each net with the picture's mask, the first one in detail."""
    image, truth = _load(source, index)
    found = [_person(net, image) for net in nets]
    apart = distance(truth)[found[0] != truth]
    near = np.array([np.count_nonzero(apart <= reach) for reach in REACHES])
    ious = tuple(100 * iou(confusion(one, truth))[0] for one in found)
    return Row(picture=source.name(index), counts=confusion(found[0], truth), near=near, ious=ious)


def draw(source: Source, rows: Mapping[int, Row], nets: Sequence[Runtime]) -> UInt8:
    """A sheet of pictures by their index in the source, a line each."""
    panels, labels = [], []
    for index, row in rows.items():
        image, truth = _load(source, index)
        found = [_person(net, image) for net in nets]
        line = [image, *(np.dstack([255 * mask] * 3) for mask in (truth, found[0])), *(difference(image, one, truth) for one in found)]
        scale = SIDE / max(truth.shape)
        panels += [resize(panel, (round(scale * truth.shape[0]), round(scale * truth.shape[1]))) for panel in line]
        labels += [row.picture, "truth", "prediction", *(f"IoU {value:.1f}" for value in row.ious)]
    return sheet.grid(panels, 3 + len(nets), labels)


def difference(image: UInt8, found: UInt8, truth: UInt8) -> UInt8:
    """The picture (H,W,3) in grey; red where `found` (H,W), 0 or 1, has a person too many, blue where it lacks one."""
    out = np.dstack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3)
    out[found > truth], out[found < truth] = (230, 40, 40), (60, 90, 255)
    return out


def _open(text: str) -> tuple[str, Runtime]:
    name, _, scale = text.partition("=")
    path = Path(name)
    if not scale and path.exists() and not has_card(path):
        raise InputError(f"{path} has no card; say what it is fed: {name}=0..1 (or -1..1, 0..255, imagenet)")
    return path.stem, open_artifact(path, card=foreign_card(path, input_range=scale) if scale else None)


def _load(source: Source, index: int) -> tuple[UInt8, UInt8]:
    image, mask = source.load(index)
    return image, (mask > 127).astype(np.uint8)


def _person(net: Runtime, image: UInt8) -> UInt8:
    return (predict(net, image) > 0.5).astype(np.uint8)


def _write(path: Path, rows: Sequence[Row], others: Sequence[str]) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["picture", "iou", "fp", "fn", "edge_share", *others])
        for row in rows:
            _, extra, missed, _ = row.counts
            share, ious = row.near[EDGE] / max(extra + missed, 1), [f"{value:.2f}" for value in row.ious]
            writer.writerow([row.picture, ious[0], extra, missed, f"{share:.2f}", *ious[1:]])


if __name__ == "__main__":
    main()
