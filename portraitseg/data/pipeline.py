"""Batches for training and evaluation (tf.data): decoded and augmented in parallel, in an order that the seed fixes."""

import warnings

import cv2
import numpy as np
import tensorflow as tf

from portraitseg.card import Card
from portraitseg.data.augment import Augment, AugmentConfig
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.image import UInt8, to_input

PARALLEL = 4
"""Samples in work at once: OpenCV leaves Python's lock while it decodes and warps."""
PREFETCH = 3
"""Batches that wait for the training step."""

Sample = tuple[UInt8, UInt8]


def epoch_order(count: int, *, seed: int, epoch: int, least: int = 1) -> np.ndarray:
    """The order of an epoch's samples: a permutation of range(count), repeated where `least` asks for more."""
    random = np.random.default_rng([seed, epoch])
    rounds = [random.permutation(count) for _ in range(-(-max(count, least) // count))]
    return np.concatenate(rounds)[: max(count, least)]


def train_batches(
    source: Source,
    card: Card,
    *,
    batch: int,
    seed: int,
    epoch: int,
    augment: AugmentConfig,
    skip: int = 0,
    limit: int | None = None,
    parallel: int = PARALLEL,
) -> tf.data.Dataset:
    """Augmented batches of one epoch, a pure function of the arguments.

    Args:
        source: the training set; a broken sample is replaced by the next one, with a warning.
        card: size, range, channel order and channels of the input.
        batch: samples a batch; the last, smaller one is dropped, but a set smaller than a batch repeats to fill one.
        seed: of order and augmentation.
        epoch: from 0.
        augment: how strongly.
        skip: batches to leave out at the start.
        limit: samples of the epoch at the most.
        parallel: samples in work at once.

    Returns:
        (index (N,) int64, x (N,h,w,C) float32 in the card's range, mask (N,h,w,1) float32 in [0,1]).
    """
    order = epoch_order(len(source), seed=seed, epoch=epoch, least=batch)[: max(batch, limit or len(source))]
    change = Augment(card.size, augment)
    cv2.setNumThreads(1)  # the samples are the parallel work; OpenCV's own threads would fight with TensorFlow's

    def sample(index: np.int64) -> Sample:
        image, mask = _load(source, int(index))
        image, mask = change(image, mask, int(np.random.SeedSequence([seed, epoch, int(index)]).generate_state(1)[0]))
        return (image[..., ::-1] if card.input.order == "bgr" else image), mask[..., None]

    def load(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        image, mask = tf.numpy_function(sample, [index], [tf.uint8, tf.uint8])
        return index, tf.ensure_shape(image, (*card.size, 3)), tf.ensure_shape(mask, (*card.size, 1))

    def finish(index: tf.Tensor, image: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = (tf.cast(image, tf.float32) - card.input.mean) / card.input.std
        if card.channels == 4:
            x = tf.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1)))
        return index, x, tf.cast(mask, tf.float32) / 255.0

    indices = tf.data.Dataset.from_tensor_slices(order.astype(np.int64)).skip(skip * batch)
    samples = indices.map(load, num_parallel_calls=parallel, deterministic=True)
    return samples.batch(batch, drop_remainder=True).map(finish).prefetch(PREFETCH)


def eval_batches(source: Source, card: Card, *, batch: int) -> tf.data.Dataset:
    """Every sample in order, as `image.to_input` prepares it: (index (N,) int64, x (N,h,w,C)); the last batch may be smaller."""

    def sample(index: np.int64) -> np.ndarray:
        return to_input(source.load(int(index))[0], card)

    def load(index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return index, tf.ensure_shape(tf.numpy_function(sample, [index], tf.float32), (*card.size, card.channels))

    indices = tf.data.Dataset.range(len(source))
    return indices.map(load, num_parallel_calls=PARALLEL, deterministic=True).batch(batch).prefetch(PREFETCH)


def _load(source: Source, index: int) -> Sample:
    """The sample, or the next one that can be read."""
    for step in range(len(source)):
        try:
            return source.load((index + step) % len(source))
        except InputError as error:
            warnings.warn(f"left out: {error}", stacklevel=1)
    raise InputError("no sample of the training set can be read; check the files")
