"""Train the harmonizer on pictures with masks: it is shown each with a recoloured person and learns the filter that undoes it."""

import csv
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from portraitseg import checkpoint
from portraitseg.archs import harmonizer
from portraitseg.card import UNIT, Card
from portraitseg.compose.harmonize import LIMIT, MIX, NUMBERS, OFFSET, PIECES
from portraitseg.data.harmonization import Pair, Stored
from portraitseg.data.sources import Dataset
from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.training import state
from portraitseg.training.harmonizer_config import HarmonizerConfig

GRID = 32
"""Rows and columns of the pixels that the loss is taken from: one filter for all of them needs no more."""
VAL_SEED = 1_000_003
"""Of the changes that validation pictures get: the same whatever the run's seed is, so that runs can be compared."""


def filtered(rgb: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """What `compose.harmonize.ColourFilter` does, as a graph: (N,H,W,3) in [0,1] and (N,33) -> (N,H,W,3) in [0,1]."""
    bounded = tf.clip_by_value(numbers, -LIMIT, LIMIT)
    curves = tf.reshape(bounded[:, : 3 * (1 + PIECES)], (-1, 1, 1, 3, 1 + PIECES))
    within = tf.clip_by_value(rgb[..., None] - tf.range(PIECES, dtype=tf.float32) / PIECES, 0.0, 1 / PIECES)  # N,H,W,3,8
    toned = OFFSET * curves[..., 0] + tf.reduce_sum(within * tf.exp(curves[..., 1:]), axis=-1)
    mixed = tf.einsum("nhwc,ndc->nhwd", tf.clip_by_value(toned, 0.0, 1.0), _matrix(bounded[:, -6:]))
    return tf.clip_by_value(mixed, 0.0, 1.0)


def _matrix(mix: tf.Tensor) -> tf.Tensor:
    """(N,6) -> (N,3,3) whose rows add up to 1."""
    off = MIX * mix
    zero = tf.zeros_like(off[:, 0])
    rows = [[zero, off[:, 0], off[:, 1]], [off[:, 2], zero, off[:, 3]], [off[:, 4], off[:, 5], zero]]
    matrix = tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1)
    return matrix + tf.linalg.diag(1 - tf.reduce_sum(matrix, axis=-1))


def person_error(net: keras.Model, pair: Pair, *, training: bool, stride: int = 1) -> tf.Tensor:
    """Mean squared error of each picture's person after the filter, (N,), in [0,1]; of every `stride`-th row and column."""
    rgb, mask, target = (tf.cast(part, tf.float32) / 255 for part in pair)
    numbers = net(tf.concat([rgb, mask[..., None]], axis=-1), training=training)
    rgb, mask, target = (part[:, ::stride, ::stride] for part in (rgb, mask, target))
    error = tf.reduce_mean(tf.square(filtered(rgb, numbers) - target), axis=-1)
    return tf.reduce_sum(mask * error, axis=(1, 2)) / tf.reduce_sum(mask, axis=(1, 2))


class HarmonizerTrainer:
    """A run: pictures, net, optimizer, and the files that it leaves: best.h5, log.csv, and state.npz to go on from."""

    def __init__(self, config: HarmonizerConfig, dataset: Dataset, *, resume: bool = False) -> None:
        """Read the pictures and build the net.

        Raises:
            InputError: a setting is out of range, a picture is broken, there are fewer than a batch, or there is nothing to resume.
        """
        config.check()
        self.config, self.folder = config, config.out
        keras.utils.set_random_seed(config.seed)
        self.train, self.val = (
            Stored.of(source, config.size, partial(tqdm, desc=name, unit="picture"))
            for name, source in (("reading", dataset.train), ("reading, to validate on", dataset.val))
        )
        if len(self.train) < config.batch:
            raise InputError(f"{len(self.train)} pictures are less than a batch of {config.batch}; give more, or lower --batch")
        self.net = harmonizer.build(config.size)
        for layer in self.net.submodules:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.95
        self.steps = len(self.train) // config.batch
        rate = keras.optimizers.schedules.CosineDecay(0.0, config.epochs * self.steps, warmup_target=config.lr, warmup_steps=self.steps)
        self.optimizer = keras.optimizers.Adam(rate, clipnorm=1.0)
        self.optimizer.build(self.net.trainable_variables)
        self.progress = state.Progress(data=f"{len(self.train)} pictures, size {config.size}")
        if resume:
            self._restore()

    @property
    def best(self) -> Path:
        """The checkpoint with the lowest error on validation pictures."""
        return self.folder / "best.h5"

    def fit(self) -> Card:
        """Train to the last epoch; after each the state is on disk.

        Returns:
            The best checkpoint's card.

        Raises:
            InputError: the loss is not finite, or the folder cannot be written to.
        """
        step = tf.function(self._step)
        before = self._score(identity=True)
        print(f"error of the person before: {before:.1f} (mean squared, of 255)")
        with tqdm(total=self.config.epochs * self.steps, initial=self.progress.epoch * self.steps, unit="step", dynamic_ncols=True) as bar:
            while self.progress.epoch < self.config.epochs:
                bar.set_description(f"epoch {self.progress.epoch + 1}/{self.config.epochs}")
                self._epoch(step, bar, before)
        return checkpoint.read_card(self.best)

    def _epoch(self, step: Any, bar: Any, before: float) -> None:
        started, losses = time.perf_counter(), []
        for pair in self.train.batches(self.config.batch, seed=self.config.seed, epoch=self.progress.epoch):
            losses.append(float(step(pair)))
            bar.update()
        if not math.isfinite(sum(losses)):
            raise InputError(f"the loss is no number any more in epoch {self.progress.epoch + 1}; lower --lr, now {self.config.lr:g}")
        self.progress.seconds += time.perf_counter() - started
        self.progress.epoch += 1
        error = self._score()
        best = min((row["val_person_mse"] for row in self.progress.history), default=math.inf)
        row = {"epoch": self.progress.epoch, "loss": float(np.mean(losses)), "val_person_mse": error, "val_person_mse_before": before}
        self.progress.history.append(row)
        if error < best:
            checkpoint.save(self.net, self._card(), self.best)
        state.save(self.folder / "state.npz", self.net, {"optimizer": self.optimizer.variables}, self.progress)
        self._log()
        bar.write(f"epoch {row['epoch']}: loss {row['loss']:.5f}, validation error of the person {error:.1f}, before {before:.1f}")

    def _step(self, pair: Pair) -> tf.Tensor:
        with tf.GradientTape() as tape:
            # the root, so that few pictures which no filter can restore do not outweigh all others
            loss = tf.reduce_mean(tf.sqrt(person_error(self.net, pair, training=True, stride=self.config.size // GRID) + 1e-5))
        variables = self.net.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def _score(self, *, identity: bool = False) -> float:
        """Mean over the validation pictures, on the scale of bytes."""
        net = (lambda x, training: tf.zeros((x.shape[0], NUMBERS))) if identity else self.net
        errors = [person_error(net, pair, training=False).numpy() for pair in self.val.pairs(seed=VAL_SEED)]
        return float(255**2 * np.concatenate(errors).mean())

    def _card(self) -> Card:
        size = (self.config.size, self.config.size)
        metrics = {key: float(value) for key, value in self.progress.history[-1].items() if key.startswith("val")}
        training = {**self.config.as_json(), "pictures": len(self.train), "seconds": round(self.progress.seconds)}
        return Card(
            arch="harmonizer", wm=1.0, size=size, input=UNIT, channels=4, output="filter", data=self.config.data_names,
            licence=self.config.licence, metrics=metrics, training=training
        )  # fmt: skip

    def _log(self) -> None:
        with atomic(self.folder / "log.csv") as temporary, temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, fieldnames=list(self.progress.history[-1]))
            table.writeheader()
            table.writerows(self.progress.history)

    def _restore(self) -> None:
        saved = state.load(self.folder / "state.npz")
        if saved.progress.data != self.progress.data:
            raise InputError(f"the run had {saved.progress.data}, now there are {self.progress.data}; start it again with --force")
        saved.restore_model(self.net)
        saved.restore("optimizer", self.optimizer.variables)
        self.progress = saved.progress
