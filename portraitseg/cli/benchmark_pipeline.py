"""Measure whether the data pipeline keeps up with training.

Prints images/s of the pipeline alone, of the train step alone on one batch kept in memory, and of both together as in training. The
three take turns in several rounds, and the ratios are taken within a round, because the speed of a shared machine drifts. With --data DIR
the pipeline also reads the same pictures from TFRecord shards, as `portraitseg data records` writes them.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tf_keras as keras

from portraitseg import archs
from portraitseg.card import Card
from portraitseg.data import pipeline
from portraitseg.data.augment import AugmentConfig
from portraitseg.data.record_writer import write_records
from portraitseg.data.records import open_records
from portraitseg.data.sources import Folder, Source, open_data
from portraitseg.errors import InputError
from portraitseg.training.config import TrainConfig
from portraitseg.training.objective import Batch, make_objective
from portraitseg.training.step import make_train_step

ROUNDS = 4
WARMUP_STEPS = 3
MOST_IN_SHARDS = 1000  # pictures that are written as shards, and measured
WARMUP_BATCHES = pipeline.PREFETCH + 2  # what had time to wait in the queue is not counted

Batches = Generator[Batch, None, None]
"""Without end."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `portraitseg benchmark pipeline`."""

    data: Path | None = None
    """Folder, CSV or shards of pictures with masks (default: the embedded synthetic set, drawn on the fly)."""
    arch: str = "munet_mnv3_transition"
    """The net: `portraitseg archs` lists them."""
    wm: float | None = None
    """Width multiplier (default: the arch's own)."""
    size: int = 256
    """Height and width of the input in pixels, a multiple of 32."""
    batch: int = 16
    """Pictures a step."""
    seconds: float = 20.0
    """Time of each of the measurements, all rounds together."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Images/s."""

    pipeline: float
    step: float
    both: float
    shards: float | None = None
    """The pipeline alone, the same pictures from shards."""


def run(config: Config) -> int:
    """Measure and print."""
    if config.batch < 1 or config.seconds <= 0:
        raise InputError(f"batch must be at least 1 and seconds above 0, got {config.batch} and {config.seconds}")
    card = archs.new_card(config.arch, wm=config.wm, size=config.size)
    dataset = open_data(config.data, size=config.size)
    print("\n".join(dataset.report))
    with TemporaryDirectory() as folder:
        source, shards = _in_shards(dataset.train, Path(folder) / "shards")
        rounds = measure(source, card, batch=config.batch, seconds=config.seconds, shards=shards)
    print(f"\n{card.name}, batch {config.batch}, {len(source)} pictures, median of {len(rounds)} rounds")
    print("\n".join(summary(rounds)))
    return 0


def _in_shards(source: Source, out: Path) -> tuple[Source, Source | None]:
    """The first pictures of a folder, and the same from shards; another source as it is."""
    if not isinstance(source, Folder):
        return source, None
    pairs = list(source.pairs[:MOST_IN_SHARDS])
    left_out = write_records({"": pairs}, out)
    print("\n".join(f"warning: left out: {text}" for text in left_out), end="\n" if left_out else "")
    return Folder(pairs), open_records(out)


def measure(source: Source, card: Card, *, batch: int, seconds: float, shards: Source | None = None) -> list[Round]:
    """Measure `ROUNDS` times, after a warm-up.

    Args:
        source: the training set.
        card: of the net that is trained.
        batch: samples a step.
        seconds: for each of the measurements, all rounds together.
        shards: the same samples from shards, where there are some.
    """
    step = _train_step(card)
    with closing(_batches(source, card, batch)) as batches:
        kept = next(batches)
    for _ in range(WARMUP_STEPS):
        step(kept)
    share = seconds / ROUNDS
    return [
        Round(
            pipeline=batch * _rate(_batches(source, card, batch), lambda _: None, share),
            step=batch * _rate((kept for _ in itertools.count()), step, share),
            both=batch * _rate(_batches(source, card, batch), step, share),
            shards=batch * _rate(_batches(shards, card, batch), lambda _: None, share) if shards else None,
        )
        for _ in range(ROUNDS)
    ]


def summary(rounds: list[Round]) -> list[str]:
    """The medians, and the medians of each round's ratios, for a person."""
    median = statistics.median
    pairs = [(item.shards, item.pipeline) for item in rounds if item.shards is not None]
    lines = [
        f"pipeline alone      {median(item.pipeline for item in rounds):8.1f} images/s",
        f"train step alone    {median(item.step for item in rounds):8.1f} images/s",
        f"both together       {median(item.both for item in rounds):8.1f} images/s",
        f"pipeline / step     {median(item.pipeline / item.step for item in rounds):8.2f}",
        f"both / step         {median(item.both / item.step for item in rounds):8.2f}",
    ]
    if pairs:
        lines.append(f"pipeline, shards    {median(shards for shards, _ in pairs):8.1f} images/s")
        lines.append(f"shards / pipeline   {median(shards / plain for shards, plain in pairs):8.2f}")
    return lines


def _rate(batches: Batches, use: Callable[[Batch], None], seconds: float) -> float:
    """How many batches are taken and used in a second, measured for `seconds`."""
    with closing(batches):  # stops the pipeline's threads, which would run on into the next measurement
        for batch in itertools.islice(batches, WARMUP_BATCHES):
            use(batch)
        done, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds or not done:
            use(next(batches))
            done += 1
        return done / elapsed


def _batches(source: Source, card: Card, batch: int) -> Batches:
    """Training batches without end, as training gets them."""
    for epoch in itertools.count():
        yield from pipeline.train_batches(source, card, batch=batch, seed=0, epoch=epoch, augment=AugmentConfig())


def _train_step(card: Card) -> Callable[[Batch], None]:
    """One step of training that returns when it is done."""
    step = make_train_step(archs.build(card), keras.optimizers.Adam(TrainConfig.lr), make_objective(TrainConfig()))

    def wait(batch: Batch) -> None:
        float(step(batch))

    return wait
