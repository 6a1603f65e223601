"""Measure latency, load time, memory, size and accuracy of models, side by side, whatever runs them.

Prints a table and writes benchmark.csv and benchmark.png (accuracy against latency; without --data, size against latency). ΔIoU is a
model's IoU less that of the first, in points: the same net in several formats can be compared. Latencies depend on the machine and on
what else it does: compare rows of one run.
"""

import csv
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from portraitseg import benchmark
from portraitseg.benchmark import Row, Settings
from portraitseg.data.sources import find_source
from portraitseg.files import atomic, refuse_existing
from portraitseg.optional import require

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


def run(config: Config) -> int:
    """Measure, print, write."""
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
    _label(figure, axes, points, [row.model.removesuffix(".tflite") for row in rows])
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _label(figure: Any, axes: Any, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Name each point, with a line to it, at the nearest place where the name covers no other name and no point."""
    figure.draw_without_rendering()
    taken = [axes.transData.transform(point) for point in points]
    style = {"textcoords": "offset points", "va": "center", "fontsize": 8}
    boxes: list[Any] = []
    for point, name in zip(points, names, strict=True):
        for dx, dy, side in _places():
            note = axes.annotate(name, point, (dx, dy), ha=side, **style)
            box = note.get_window_extent().padded(2)
            inside = figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
            if inside and not any(box.overlaps(other) for other in boxes) and not any(box.contains(*place) for place in taken):
                break
            note.remove()
        else:  # no room anywhere: better over another name than missing
            note, dy = axes.annotate(name, point, (8, 0), **style), 0
        boxes.append(note.get_window_extent().padded(2))
        if dy:
            axes.annotate("", point, (dx, dy), arrowprops={"arrowstyle": "-", "alpha": 0.3}, **style)


def _places() -> list[tuple[int, int, str]]:
    """Offsets in points and alignments to try, the nearest first."""
    heights = [0, *(sign * step for step in range(12, 200, 12) for sign in (1, -1))]
    return [(sign * 8, height, side) for height in heights for sign, side in ((1, "left"), (-1, "right"))]
