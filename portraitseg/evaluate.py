"""Score a runtime on pictures with masks, or on the frames of a video: the figures of the set, a row a picture, a look at the worst."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from portraitseg import sheet
from portraitseg.data.frames import Frames, clip, order
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.files import atomic, refuse_existing
from portraitseg.image import Float32, UInt8
from portraitseg.metrics import BASIC, METRICS, VIDEO, Meter, Steadiness
from portraitseg.runtime import Runtime, Video, predict

DECIMALS = 6  # of the rows


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `evaluate` found."""

    summary: dict[str, float]
    """The metrics of the set by name, {"iou", "miou", "mae", "boundary_f"} unless others were asked for; units as in docs/metrics.md."""
    rows: list[dict[str, Any]]
    """The same for each picture, with its "name"; dtSSD and flicker are missing where no frame comes before."""
    indices: list[int]
    """Where in the source the row's picture stands."""
    skipped: list[str]
    """Why a picture could not be read; it counts nowhere."""
    counts: list[NDArray[np.int64]] = field(default_factory=list)
    """Of each row's pixels, as `metrics.confusion` gives them; none without an IoU among the metrics."""
    probs: dict[int, Float32] = field(default_factory=dict)
    """Number of a row -> prob (H,W), for as many of the worst as `evaluate` was to keep."""

    def worst(self, count: int) -> list[int]:
        """Numbers of the `count` worst rows by the first metric that was asked for, worst first."""
        return worst(self.rows, next(iter(self.summary)), count)


def evaluate(runtime: Runtime, source: Source, *, metrics: str | Iterable[str] = BASIC, video: bool = False, keep: int = 0) -> Evaluation:
    """Predict every picture at its own size and compare it with its mask; a broken picture is left out with a warning.

    Args:
        runtime: the model.
        source: pictures and masks.
        metrics: names out of `metrics.STILL`, or "all".
        video: whether the pictures are the frames of a clip (of one a folder), in the order of their names. Then dtSSD and flicker are
            measured too, and a model with a prior channel gets its own last prob. A frame after one that was left out starts anew.
        keep: of how many of the worst pictures to keep the prob.

    Raises:
        InputError: a metric is not known, no picture could be scored, the model's output holds NaN, or frames differ in size.
    """
    meter, steadiness = Meter(metrics), Steadiness()
    runner = Video(runtime) if video else runtime
    indices: list[int] = []
    skipped: list[str] = []
    probs: dict[int, Float32] = {}
    for index, image, mask, follows in _read(source, _sequence(source) if video else range(len(source)), skipped):
        if isinstance(runner, Video) and not follows:
            steadiness.cut()
            runner.cut()
        prob = predict(runner, image)
        row = meter.add(source.name(index), prob, mask)
        if video:
            row |= steadiness.add(source.name(index), image, prob, mask.astype(np.float32) / np.float32(255))
        probs[len(indices)] = prob
        probs = {number: probs[number] for number in worst(meter.rows, meter.metrics[0], keep, among=probs)}
        indices.append(index)
    summary = meter.summary() | _means(meter.rows)
    return Evaluation(summary=summary, rows=meter.rows, indices=indices, skipped=skipped, counts=meter.counts, probs=probs)


def flicker_alone(runtime: Runtime, frames: Frames) -> Evaluation:
    """Measure the flicker on one clip that has no masks.

    Raises:
        InputError: a frame cannot be read, or differs in size from the one before; there are fewer than two.
    """
    steadiness, runner = Steadiness(), Video(runtime)
    rows = [{"name": name, **steadiness.add(name, image, predict(runner, image))} for name, image in _progress(frames, len(frames))]
    summary = _means(rows)
    if not summary:
        raise InputError(f"flicker compares consecutive frames, got {len(rows)} of which none follows another; give at least 2 of a clip")
    return Evaluation(summary=summary, rows=rows, indices=list(range(len(rows))), skipped=[])


def worst(rows: Sequence[dict[str, Any]], metric: str, count: int, *, among: Iterable[int] | None = None) -> list[int]:
    """Numbers of the `count` worst of the rows by a metric, worst first; of those `among` which to look, else of all."""
    sign = 1 if METRICS[metric].higher else -1
    numbers = range(len(rows)) if among is None else among
    return sorted((number for number in numbers if metric in rows[number]), key=lambda number: sign * float(rows[number][metric]))[:count]


def worst_sheet(source: Source, result: Evaluation) -> UInt8:
    """A contact sheet, RGB (H,W,3), of the pictures whose probs were kept, the worst first: picture, truth, prediction, cut-out.

    Raises:
        ValueError: none was kept.
    """
    rows, labels = [], []
    metric = next(iter(result.summary))
    for number in result.worst(len(result.probs)):
        image, mask = source.load(result.indices[number])
        rows.append(sheet.row(image, mask, result.probs[number]))
        labels.append(f"{result.rows[number]['name']}  {METRICS[metric].title} {METRICS[metric].text(result.rows[number][metric])}")
    return sheet.grid(rows, 1, labels)


def write_rows(path: Path, result: Evaluation, *, force: bool = False) -> None:
    """Write a row a picture as CSV, whole or not at all.

    Raises:
        InputError: the file exists, or cannot be written.
    """
    refuse_existing(path, force=force)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["name", *result.summary])
        writer.writeheader()
        writer.writerows(
            {key: round(value, DECIMALS) if isinstance(value, float) else value for key, value in row.items()} for row in result.rows
        )


def _sequence(source: Source) -> list[int]:
    """The pictures in the order of a video: folder by folder, each by name."""
    return sorted(range(len(source)), key=lambda index: (order(clip(source.name(index))), order(source.name(index))))


def _read(source: Source, indices: Sequence[int], skipped: list[str]) -> Iterator[tuple[int, UInt8, UInt8, bool]]:
    """Index, picture and mask of each that can be read, and whether it follows the one before: same clip, none left out between.

    Why a picture cannot be read is added to `skipped`.
    """
    last = None
    for index in _progress(indices, len(indices)):
        try:
            image, mask = source.load(index)
        except InputError as error:
            skipped.append(str(error))
            tqdm.write(f"warning: left out: {error}", file=sys.stderr)
            last = None
            continue
        here = clip(source.name(index))
        yield index, image, mask, here == last
        last = here


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over the frames that have them, of the metrics that compare frames."""
    values = {key: [row[key] for row in rows if key in row] for key in VIDEO}
    return {key: float(np.mean(found)) for key, found in values.items() if found}


def _progress(items: Any, total: int) -> Any:
    return tqdm(items, "scoring", total=total or None, unit="picture", file=sys.stderr, delay=1, disable=None)
