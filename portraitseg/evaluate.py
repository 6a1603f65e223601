"""Score a runtime on pictures with masks: the figures of the set, a row a picture, and a look at the worst."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from portraitseg import sheet
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.files import atomic, refuse_existing
from portraitseg.image import UInt8
from portraitseg.metrics import Meter
from portraitseg.runtime import Runtime, predict

COLUMNS = ("name", "iou", "miou", "mae", "boundary_f")


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `evaluate` found."""

    summary: dict[str, float]
    """{"iou", "miou", "mae", "boundary_f"} of the set; MAE in [0,1], the others in percent."""
    rows: list[dict[str, Any]]
    """The same for each picture, with its "name"."""
    indices: list[int]
    """Where in the source the row's picture stands."""
    skipped: list[str]
    """Why a picture could not be read; it counts nowhere."""

    def worst(self, count: int) -> list[int]:
        """Numbers of the `count` rows with the lowest IoU, worst first."""
        return sorted(range(len(self.rows)), key=lambda number: float(self.rows[number]["iou"]))[:count]


def evaluate(runtime: Runtime, source: Source, *, boundary: bool = True) -> Evaluation:
    """Predict every picture at its own size and compare it with its mask; a broken picture is left out with a warning.

    Args:
        runtime: the model.
        source: pictures and masks.
        boundary: whether to compute boundary F, which takes the longest.

    Raises:
        InputError: no picture could be scored, or the model's output holds NaN.
    """
    meter = Meter(boundary=boundary)
    indices: list[int] = []
    skipped: list[str] = []
    for index in tqdm(range(len(source)), "scoring", unit="picture", file=sys.stderr, delay=1, disable=None):
        try:
            image, mask = source.load(index)
        except InputError as error:
            skipped.append(str(error))
            tqdm.write(f"warning: left out: {error}", file=sys.stderr)
            continue
        meter.add(source.name(index), predict(runtime, image), mask)
        indices.append(index)
    return Evaluation(summary=meter.summary(), rows=meter.rows, indices=indices, skipped=skipped)


def worst_sheet(runtime: Runtime, source: Source, result: Evaluation, count: int) -> UInt8:
    """A contact sheet, RGB (H,W,3), of the `count` pictures with the lowest IoU: picture, truth, prediction, cut-out."""
    rows, labels = [], []
    for number in result.worst(count):
        image, mask = source.load(result.indices[number])
        rows.append(sheet.row(image, mask, predict(runtime, image)))
        labels.append(f"{result.rows[number]['name']}  IoU {result.rows[number]['iou']:.1f}")
    return sheet.grid(rows, 1, labels)


def write_rows(path: Path, rows: Sequence[dict[str, Any]], *, force: bool = False) -> None:
    """Write a row a picture as CSV, whole or not at all.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    refuse_existing(path, force=force)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()} for row in rows)
