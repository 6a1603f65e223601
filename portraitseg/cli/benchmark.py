"""Measure latency, load time, memory, size and accuracy of models, side by side, whatever runs them.

Prints a table and writes benchmark.csv and benchmark.png (accuracy against latency; without --data, size against latency). ΔIoU is a
model's IoU less that of the first, in points: the same net in several formats can be compared. Latencies depend on the machine and on
what else it does: compare rows of one run.

With --publish FOLDER it is the folder's artifacts, whose cards and README then tell what was measured.
"""

import csv
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from portraitseg import benchmark
from portraitseg.benchmark import Row, Settings
from portraitseg.cli import benchmark_publish
from portraitseg.data.sources import find_source
from portraitseg.device import has_dot_products
from portraitseg.files import atomic, refuse_existing
from portraitseg.optional import require
from portraitseg.publish.labels import label
from portraitseg.runtime import cards

HEADS = {
    "model": "model",
    "runtime": "runtime",
    "threads": "threads",
    "warmups": "warm-ups",
    "runs": "runs",
    "load_ms": "load ms",
    "p50_ms": "p50 ms",
    "p90_ms": "p90 ms",
    "peak_mb": "peak MB",
    "file_mb": "file MB",
    "partitions": "partitions",
    "iou": "IoU",
    "delta_iou": "ΔIoU",
    "miou": "mIoU",
    "device": "device",
}

NO_DOT_PRODUCTS = """
int8: this processor has no integer dot products (VNNI; on ARM asimddp or i8mm), so it gains little by int8 or loses.
Phones of the last years and newer laptops have them: measure there what you ship there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Settings of `portraitseg benchmark`."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Artifacts or checkpoints, each with its card beside it: .tflite, .onnx, .xml (OpenVINO), .pb, a SavedModel's folder, .h5."""
    data: Path | None = None
    """Folder, CSV or shards of pictures with masks to measure the accuracy on."""
    out: Path = Path("runs/benchmark")
    """Folder for the results."""
    force: bool = False
    """Overwrite existing results."""
    publish: Path | None = None
    """A folder of artifacts with their cards: measure them on --data, write what was found into the cards, and make the tables and plots of
    the folder's README from the cards; without --data, make these anew from what the cards say."""
    subsets: Path | None = None
    """With --publish: CSV with the columns picture and subset, to give the accuracy by subset too."""
    beside: tuple[str, ...] = ()
    """With --publish: files of other projects to measure in the same run, each FILE=RANGE with the range that 0 to 255 is scaled to."""


def run(config: Config) -> int:
    """Measure, print, write."""
    benchmark_publish.check(config)
    if config.publish is not None:
        return benchmark_publish.run(config, config.publish)
    table, plot = config.out / "benchmark.csv", config.out / "benchmark.png"
    for path in (table, plot):
        refuse_existing(path, force=config.force)
    benchmark.check(config.models, config)
    scores = _accuracy(config, config.data) if config.data else [{} for _ in config.models]
    rows = benchmark.measure(config.models, config, lambda plan: tqdm(plan, unit="process", desc="latency", leave=False))
    rows = [
        dataclasses.replace(row, iou=score.get("iou"), delta_iou=score.get("delta_iou"), miou=score.get("miou"))
        for row, score in zip(rows, scores, strict=True)
    ]
    print(format_table(rows))
    if has_dot_products() is False and any((card := cards.find(path)) and card.quant == "int8" for path in config.models):
        print(NO_DOT_PRODUCTS)
    write_csv(rows, table)
    print(f"\ntable  {table}")
    try:
        draw(rows, plot)
        print(f"plot   {plot}")
    except ImportError as error:  # a board that only runs models has no matplotlib, and its figures are the ones that matter
        print(f"no plot: {error}", file=sys.stderr)
    return 0


def _accuracy(config: Config, data: Path) -> list[dict[str, float]]:
    source, lines = find_source(data)
    print("\n".join(lines))
    found = benchmark.accuracy(config.models, source, config, lambda plan: tqdm(plan, unit="picture", desc="accuracy", leave=False))
    return [score | {"delta_iou": score["iou"] - found[0]["iou"]} for score in found]


def format_table(rows: Sequence[Row]) -> str:
    """The rows for a person, columns aligned, those without any value left out."""
    names = [name for name in HEADS if any(getattr(row, name) is not None for row in rows)]
    cells = [[HEADS[name] for name in names], *([_cell(getattr(row, name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = {"model", "runtime", "device"}
    lines = (
        "  ".join(cell.ljust(width) if name in left else cell.rjust(width) for name, cell, width in zip(names, line, widths, strict=True))
        for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "-"
    return f"{round(value, 2) + 0.0:.2f}" if isinstance(value, float) else str(value)  # + 0.0: no -0.00


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line each, unrounded; a column each field of `Row`."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in rows)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Scatter plot: mIoU, or file size where there is no accuracy, against median latency.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot()
    scored = rows[0].miou is not None
    points = [(row.p50_ms, row.miou if row.miou is not None else row.file_mb) for row in rows]
    axes.scatter(*zip(*points, strict=True), s=40, zorder=3)
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    axes.set_xlabel(f"latency, median of {rows[0].runs} runs, {rows[0].threads} threads (ms)")
    axes.set_ylabel("mIoU (%)" if scored else "file size (MB)")
    axes.set_title(rows[0].device)
    label(figure, axes, points, [row.model.removesuffix(".tflite") for row in rows])
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
