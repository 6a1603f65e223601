"""Score a checkpoint or an artifact on pictures with masks, or on the frames of a video: IoU, boundary F and more (docs/metrics.md)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from portraitseg import image
from portraitseg.card import Card
from portraitseg.data.discovery import discover
from portraitseg.data.frames import open_frames
from portraitseg.data.sources import Source, find_source, open_data
from portraitseg.errors import InputError
from portraitseg.evaluate import Evaluation, evaluate, flicker_alone, worst_sheet, write_rows
from portraitseg.files import atomic, refuse_existing
from portraitseg.metrics import BASIC, METRICS, select
from portraitseg.runtime import Runtime, foreign_card, has_card, open_artifact

DEFAULT_METRICS = ",".join(BASIC)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of one evaluation."""

    model: Positional[Path]
    """A checkpoint (.h5) or an artifact of any format (docs/formats.md), with its card beside it."""
    data: Path | None = None
    """A folder, a CSV or shards of pictures with masks, found as in training; of one with train/ and val/ inside, val/ alone is used.
    If left out: the validation pictures of the checkpoint's own training run."""
    out: Path | None = None
    """Folder for metrics.json, pictures.csv and worst.png; runs/eval/MODEL-DATA if left out."""
    metrics: str = DEFAULT_METRICS
    """What to measure: all, or names out of iou, miou, mae, boundary_f, max_f, weighted_f, s_measure, boundary_iou, sad, mse, gradient,
    connectivity, with commas. docs/metrics.md defines them. The first one says which pictures are the worst."""
    video: bool = False
    """The pictures of a folder are consecutive frames, in the order of their names, one clip a folder: measure dtSSD and flicker too, and
    feed a model with a prior channel its own last prob. Of frames or a video file without masks, flicker alone is measured."""
    worst: int = 12
    """How many of the worst pictures to draw in worst.png; 0 for none."""
    threads: int = 2
    """Threads of the CPU for the net itself."""
    force: bool = False
    """Overwrite an earlier result."""
    engine: str = ""
    """Run the file by another library than its suffix says: mediapipe, for a .tflite of `export.py --format mediapipe`."""
    input_range: Literal["0..1", "-1..1", "0..255", "imagenet"] | None = None
    """For an artifact of another project, which has no card: what the bytes 0 to 255 are scaled to."""
    channel_order: Literal["rgb", "bgr"] | None = None
    """For an artifact without a card; rgb if left out."""
    output: Literal["auto", "prob", "logits"] | None = None
    """For an artifact without a card: what it gives; auto, if left out, looks at the numbers that come out."""
    fit: Literal["stretch", "letterbox"] | None = None
    """For an artifact without a card: how a picture is made to fit; stretch if left out."""


def run(config: Config) -> int:
    """Score, print the figures, write the files."""
    if config.worst < 0:
        raise InputError(f"--worst must be 0 or more, got {config.worst}")
    select(config.metrics)  # refuses unknown names before anything is loaded
    masks = _has_masks(config)
    out = config.out if config.out is not None else Path("runs/eval") / f"{_label(config.model)}-{_data_name(config)}"
    table, pictures, worst = out / "metrics.json", out / "pictures.csv", out / "worst.png"
    written = [table, pictures, worst] if config.worst and masks else [table, pictures]
    for path in written:
        refuse_existing(path, force=config.force)
    runtime = _open(config)
    result, sheet = _measure(config, runtime) if masks else (flicker_alone(runtime, open_frames(config.data or Path())), None)
    print(_figures(config, runtime.card, result))
    write_rows(pictures, result, force=config.force)
    if sheet is not None:
        image.write(worst, sheet, force=config.force)
    _write_json(table, config, result)
    print("\n".join(f"wrote {path}" for path in written))
    return 0


def _has_masks(config: Config) -> bool:
    """Whether there are masks to compare with; frames may do without.

    Raises:
        InputError: --video without --data, or metrics that need masks where there are none.
    """
    if not config.video:
        return True
    if config.data is None:
        raise InputError("--video needs the frames; give --data with a folder of frames or a video file")
    try:
        return bool(discover(config.data).all())
    except InputError as error:
        if config.metrics != DEFAULT_METRICS:
            raise InputError(f"--metrics {config.metrics} needs masks; leave it out to measure flicker alone ({error})") from error
        print(f"{config.data}: no masks, so flicker alone is measured")
        return False


def _measure(config: Config, runtime: Runtime) -> tuple[Evaluation, image.UInt8 | None]:
    """Compare with the masks; also draw the worst."""
    source, report = _pictures(config.data, runtime.card)
    print("\n".join(report))
    result = evaluate(runtime, source, metrics=config.metrics, video=config.video, keep=config.worst)
    return result, worst_sheet(source, result) if config.worst else None


def _open(config: Config) -> Runtime:
    """Open the model with its own card, or with one made from the flags where it has none."""
    given = {"order": config.channel_order, "output": config.output, "fit": config.fit}
    options = {key: value for key, value in given.items() if value is not None}
    if config.input_range is None and not options:
        return open_artifact(config.model, threads=config.threads, engine=config.engine or None)
    if has_card(config.model):
        raise InputError(f"its card says how {config.model} is fed; leave out --input-range, --channel-order, --output and --fit")
    if config.model.suffix.lower() == ".h5" or config.input_range is None:
        return open_artifact(config.model, threads=config.threads)  # which says what is missing
    return open_artifact(config.model, threads=config.threads, card=foreign_card(config.model, input_range=config.input_range, **options))


def _pictures(data: Path | None, card: Card) -> tuple[Source, list[str]]:
    """The pictures to score on, and the lines to print about them."""
    if data is not None:
        return find_source(data)
    if card.data != ("synthetic",) and not card.training.get("data"):
        raise InputError("this model's card names no folder of pictures (only a checkpoint's does); give --data DIR")
    folder, val = (Path(path) if path else None for path in (card.training.get("data"), card.training.get("val")))
    dataset = open_data(folder, val, seed=int(card.training.get("seed", 0)))
    return dataset.val, dataset.report


def _data_name(config: Config) -> str:
    return config.data.resolve().stem if config.data else "val"


def _label(model: Path) -> str:
    """A name for the results: best.h5 and last.h5 are called after their folder."""
    return f"{model.resolve().parent.name}-{model.stem}" if model.suffix == ".h5" else model.stem


def _figures(config: Config, card: Card, result: Evaluation) -> str:
    height, width = card.size
    rows = {
        "model": f"{config.model} ({height}x{width} {card.input.order.upper()}, {card.fit}, {card.classes}-class {card.output})",
        "pictures": f"{len(result.rows)} of {_where(config)}" + (f", {len(result.skipped)} broken ones left out" if result.skipped else ""),
    }
    rows |= {METRICS[name].title: METRICS[name].text(value) for name, value in result.summary.items()}
    return "\n".join(f"{name:<22}{text}" for name, text in rows.items())


def _where(config: Config) -> str:
    return str(config.data) if config.data else "the training run's validation pictures"


def _write_json(path: Path, config: Config, result: Evaluation) -> None:
    values: dict[str, Any] = {key: round(value, METRICS[key].decimals) for key, value in result.summary.items()}
    values |= {"pictures": len(result.rows), "skipped": result.skipped, "model": str(config.model), "data": _where(config)}
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
