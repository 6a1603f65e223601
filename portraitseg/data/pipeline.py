"""Batches for training and evaluation (tf.data): decoded and augmented in parallel, in an order that the seed fixes."""

import os
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from portraitseg.card import Card
from portraitseg.data.augment import Augment, AugmentConfig
from portraitseg.data.composite import Composer
from portraitseg.data.prior import add_prior
from portraitseg.data.sources import Source
from portraitseg.data.unlabelled import Taught
from portraitseg.errors import InputError
from portraitseg.image import Float32, UInt8, fit_mask, to_input

PARALLEL = max(2, min(16, os.cpu_count() or 2))
"""Samples in work at once: OpenCV leaves Python's lock while it decodes and warps."""
PREFETCH = 3
"""Batches that wait for the training step."""

UNIT = np.arange(256, dtype=np.float32) / 255

Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Share:
    """One worker's rows of every `batch` samples: as many as any other's, in the order of the workers."""

    batch: int
    worker: int
    workers: int

    def of(self, draws: Index) -> Index:
        """Its part of whole batches of draws."""
        size = self.batch // self.workers
        return draws.reshape(-1, self.batch)[:, self.worker * size : (self.worker + 1) * size].reshape(-1)


def epoch_draws(count: int, *, seed: int, epoch: int, least: int = 1) -> Index:
    """The order of an epoch: a permutation of range(count), followed by further ones of range(count, 2 * count) and so on up to `least`.

    A draw d stands for the sample d % count; a set smaller than a batch is drawn again with other augmentations.
    """
    random = np.random.default_rng([seed, epoch])
    rounds = range(-(-max(count, least) // count))
    draws = np.concatenate([turn * count + random.permutation(count) for turn in rounds])
    return np.asarray(draws[: max(count, least)], np.int64)


def train_batches(
    source: Source,
    card: Card,
    *,
    batch: int,
    seed: int,
    epoch: int,
    augment: AugmentConfig,
    prior_empty: float = 0.5,
    composer: Composer | None = None,
    skip: int = 0,
    limit: int | None = None,
    share: Share | None = None,
    parallel: int = PARALLEL,
) -> tf.data.Dataset:
    """Augmented batches of one epoch: order and augmentation are pure functions of `seed` and `epoch`.

    Sets OpenCV to one thread for the whole process: the samples are the parallel work, its own threads would fight with TensorFlow's.

    Args:
        source: the training set; a sample that cannot be read is replaced by the next one, with a warning.
        card: size, fit, range, channel order and channels of the input.
        batch: samples a batch; the last, smaller one is dropped, but a set smaller than a batch repeats to fill one.
        seed: of order and augmentation, at least 0.
        epoch: from 0.
        augment: how strongly.
        prior_empty: with a fourth channel: share of samples whose prior is empty, see `add_prior`.
        composer: puts people onto other backgrounds before the augmentation; None for none.
        skip: batches to leave out at the start.
        limit: samples of the epoch at the most.
        share: this worker's part of every batch, the only one that is read; None for all.
        parallel: samples in work at once.

    Returns:
        {"index": (N,) int64, "x": (N,h,w,C) float32 in the card's range, "mask": (N,h,w,1) float32 in [0,1]}; of a `Taught` source also
        "teacher", its prob as the mask, "labelled": (N,) bool, whether the mask is to be learned, and "taught": (N,) bool, whether the prob
        is: not of what was composed, which the teacher has not seen. Samples without a mask of their own are not composed.
    """
    cv2.setNumThreads(1)
    draws = epoch_draws(len(source), seed=seed, epoch=epoch, least=batch)[: max(batch, len(source) if limit is None else limit)]
    change = Augment(card.size, augment, fit=card.fit, border=_border(card))
    prepare = Prepare(card)

    shapes = {"index": (), "x": (*card.size, card.channels), "mask": (*card.size, 1)}
    taught = source if isinstance(source, Taught) else None
    shapes |= {"teacher": (*card.size, 1)} if taught else {}
    labelled = taught.labelled if taught else len(source)

    def sample(draw: np.int64) -> tuple[np.int64 | np.bool_ | Float32, ...]:
        index, whole, mask, *others = _load(source, int(draw) % len(source))
        key, image = sample_seed(seed, epoch, int(draw)), whole
        if composer is not None and index < labelled:
            image, mask = composer(image, mask, key)
        seen = image is whole
        others = others if seen else [mask for _ in others]
        image, mask, *others = change(image, mask, key, *others)
        x, truth = prepare(image, mask)
        masks = [truth, *map(prepare.mask, others)]
        if card.channels == 4:
            x, masks = add_prior(x, masks, empty=prior_empty, seed=key)
        return np.int64(index), np.bool_(seen), x, *masks

    def load(draw: tf.Tensor) -> dict[str, tf.Tensor]:
        index, seen, *values = tf.numpy_function(sample, [draw], [tf.int64, tf.bool, *[tf.float32] * (len(shapes) - 1)])
        batch = {name: tf.ensure_shape(value, shapes[name]) for name, value in zip(shapes, [index, *values], strict=True)}
        return {**batch, "labelled": batch["index"] < labelled, "taught": tf.ensure_shape(seen, ())} if taught else batch

    draws = draws[skip * batch : len(draws) // batch * batch]
    if share is not None:
        draws, batch = share.of(draws), batch // share.workers
    samples = tf.data.Dataset.from_tensor_slices(draws).map(load, num_parallel_calls=parallel, deterministic=True)
    return _untuned(samples.batch(batch, drop_remainder=True).prefetch(PREFETCH))


def eval_batches(source: Source, card: Card, *, batch: int) -> tf.data.Dataset:
    """Every sample in order, as `image.to_input` prepares it.

    Returns:
        (index (N,) int64, x (N,h,w,C) float32); the last batch may be smaller. A sample that cannot be read is left out, with a warning.
    """

    def sample(index: np.int64) -> tuple[np.bool_, Float32]:
        try:
            return np.bool_(True), to_input(source.load(int(index))[0], card)
        except InputError as error:
            _warn(f"left out: {error}")
            return np.bool_(False), np.zeros((*card.size, card.channels), np.float32)

    def load(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        good, x = tf.numpy_function(sample, [index], [tf.bool, tf.float32])
        return index, tf.ensure_shape(x, (*card.size, card.channels)), tf.ensure_shape(good, ())

    # functions with names: two lambdas in a line are more than AutoGraph can tell apart
    def is_good(index: tf.Tensor, x: tf.Tensor, good: tf.Tensor) -> tf.Tensor:
        return good

    def without_flag(index: tf.Tensor, x: tf.Tensor, good: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return index, x

    samples = tf.data.Dataset.range(len(source)).map(load, num_parallel_calls=PARALLEL, deterministic=True)
    return _untuned(samples.filter(is_good).map(without_flag).batch(batch).prefetch(PREFETCH))


def _untuned(samples: tf.data.Dataset) -> tf.data.Dataset:
    """Without tf.data's tuner: all sizes are given here, and an iterator's end waits until the tuner's thread wakes, up to a minute."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return samples.with_options(options)


class Prepare:
    """Turns an augmented sample into a net's input and target, as `image.to_input` and `image.fit_mask` do."""

    def __init__(self, card: Card) -> None:
        self.card = card
        bytes_ = np.arange(256, dtype=np.float32)[:, None, None]
        # to_input's own arithmetic, done once for each of the 256 bytes: looking them up gives equal bits in an eighth of the time.
        self.table = (bytes_ - np.asarray(card.input.mean, np.float32)) / np.asarray(card.input.std, np.float32)

    def __call__(self, image: UInt8, mask: UInt8) -> tuple[Float32, Float32]:
        """Prepare one sample.

        Args:
            image: RGB, (h,w,3) of the card's size, or (H,W,3) to be fitted to it.
            mask: (h,w) or (H,W), 0 to 255.

        Returns:
            The input (h,w,C) in the card's range and the mask (h,w,1) in [0,1].
        """
        card = self.card
        if image.shape[:2] != card.size:
            return to_input(image, card), self.mask(mask)
        ordered = image if card.input.order == "rgb" else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        x = np.asarray(cv2.LUT(ordered, self.table), np.float32)
        if card.channels == 4:
            x = np.dstack([x, np.zeros(card.size, np.float32)])
        return x, self.mask(mask)

    def mask(self, mask: UInt8) -> Float32:
        """Prepare a mask, (h,w) of the card's size or (H,W) to be fitted to it, 0 to 255: (h,w,1) in [0,1]."""
        return _unit(mask if mask.shape == self.card.size else fit_mask(mask, self.card.size, self.card.fit))


def sample_seed(seed: int, epoch: int, draw: int) -> int:
    """The seed of one sample's augmentation."""
    return int(np.random.SeedSequence([seed, epoch, draw]).generate_state(1)[0])


def _unit(mask: UInt8) -> Float32:
    """A mask (h,w), 0 to 255, as (h,w,1) in [0,1]."""
    return np.asarray(cv2.LUT(mask, UNIT)[..., None], np.float32)


def _border(card: Card) -> UInt8:
    """The colour that becomes 0 in the net's input, RGB."""
    mean = np.array(card.input.mean if card.input.order == "rgb" else card.input.mean[::-1])
    return mean.round().clip(0, 255).astype(np.uint8)


def _load(source: Source, index: int) -> tuple[Any, ...]:
    """The sample, or the next one that can be read: its index, picture, mask, and where there is a teacher its prob."""
    for step in range(len(source)):
        other = (index + step) % len(source)
        try:
            image, mask = source.load(other)
            return other, image, mask, *([source.teacher.load(other, mask.shape)] if isinstance(source, Taught) else [])
        except InputError as error:
            _warn(f"replaced by the next sample: {error}")
    raise InputError(f"none of the {len(source)} training samples can be read any more; check that their folder is still there")


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)  # Python shows a text once: a file that stays broken is not reported again in every epoch
