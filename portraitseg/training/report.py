"""What a run leaves to look at: log.csv, TensorBoard events, curves.png, sheet.png."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from portraitseg import image, sheet
from portraitseg.card import Card
from portraitseg.data.sources import Source
from portraitseg.files import atomic
from portraitseg.image import Float32, UInt8
from portraitseg.optional import require

SAMPLES = 4
"""Validation pictures that TensorBoard shows of each epoch."""
SAMPLE_SIDE = 160
"""Their height in pixels."""


class Log:
    """The run's table, as CSV and as TensorBoard events, with loss and learning rate of every step and a few validation pictures."""

    def __init__(self, folder: Path, pictures: int) -> None:
        self.folder = folder
        self.writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
        self.chosen = evenly(pictures, SAMPLES)
        self.samples: dict[int, UInt8] = {}

    def step(self, number: int, loss: float, lr: float) -> None:
        """Take down step `number` of the run, from 1."""
        with self.writer.as_default(step=number):
            tf.summary.scalar("step/loss", loss)
            tf.summary.scalar("step/lr", lr)

    def watch(self, index: int, picture: UInt8, mask: UInt8, prob: Float32) -> None:
        """Keep what validation sees of a few pictures: RGB (H,W,3), mask (H,W) of 0 to 255, prob (H,W) in [0,1]."""
        if index in self.chosen:
            self.samples[index] = sheet.row(picture, mask, prob, side=SAMPLE_SIDE)

    def write(self, history: list[dict[str, Any]]) -> None:
        """Rewrite log.csv and curves.png, and append the last epoch's numbers to the events."""
        with atomic(self.folder / "log.csv") as temporary, temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(history[-1]))
            table.writeheader()
            table.writerows(history)
        with self.writer.as_default(step=history[-1]["epoch"]):
            for key, value in history[-1].items():
                if isinstance(value, float):
                    tf.summary.scalar(key, value)
            if self.samples:  # each is picture, truth, prediction, cut-out
                tf.summary.image("samples", np.stack(list(self.samples.values())), max_outputs=SAMPLES)
        self.writer.flush()
        draw_curves(history, self.folder / "curves.png")


def draw_curves(history: list[dict[str, Any]], path: Path) -> None:
    """Training loss and validation IoU over the epochs, as PNG."""
    require("matplotlib", extra="train").use("Agg")
    plt = require("matplotlib.pyplot", extra="train")
    epochs = [row["epoch"] for row in history]
    margins = {"left": 0.06, "right": 0.98, "bottom": 0.12, "top": 0.92, "wspace": 0.14}  # a layout engine takes longer than the rest
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), gridspec_kw=margins)
    left.plot(epochs, [row["loss"] for row in history], marker=".")
    left.set(title="training loss", xlabel="epoch")
    for key, label in (("val_miou", "mIoU"), ("val_iou", "IoU of the person")):
        right.plot(epochs, [row[key] for row in history], marker=".", label=label)
    right.set(title="validation, percent", xlabel="epoch")
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def draw_sheet(source: Source, card: Card, probs: Iterable[tuple[int, np.ndarray]], path: Path, *, rows: int = 12) -> None:
    """A contact sheet of validation pictures, evenly drawn: picture, truth, prediction, cut-out."""
    chosen = evenly(len(source), rows)
    lines, labels = [], []
    for index, prob in probs:
        if index in chosen:
            picture, mask = source.load(index)
            lines.append(sheet.row(picture, mask, image.from_prob(prob, mask.shape, card.fit)))
            labels.append(source.name(index))
    image.write(path, sheet.grid(lines, columns=2, labels=labels), force=True)


def evenly(count: int, wanted: int) -> set[int]:
    """`wanted` of range(count), or all, spread evenly from the first to the last."""
    return set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())
