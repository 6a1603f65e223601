"""What a net in training predicts, and how good that is at the masks' own sizes."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import tf_keras as keras

from portraitseg import image, losses
from portraitseg.archs import logits_model
from portraitseg.card import Card
from portraitseg.data import pipeline
from portraitseg.data.sources import Source
from portraitseg.metrics import Meter

BATCH = 16


def predict(model: keras.Model, card: Card, source: Source) -> Iterator[tuple[int, np.ndarray]]:
    """Every picture's index and prob (h,w), float32 in [0,1], at the net's size."""
    trunk = logits_model(model)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def prob(x: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(losses.person_logits(trunk(x, training=False)))

    for indices, x in pipeline.eval_batches(source, card, batch=BATCH):
        for index, value in zip(indices.numpy(), prob(x).numpy()[..., 0], strict=True):
            yield int(index), value


def validate(model: keras.Model, card: Card, source: Source) -> dict[str, float]:
    """IoU, mIoU (percent) and MAE at the masks' own sizes."""
    meter = Meter(boundary=False)
    for index, prob in predict(model, card, source):
        _, mask = source.load(index)
        meter.add(source.name(index), image.from_prob(prob, mask.shape, card.fit), mask)
    return meter.summary()
