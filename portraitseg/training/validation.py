"""What a net in training predicts, and how good that is at the masks' own sizes."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import tf_keras as keras

from portraitseg import image, losses
from portraitseg.archs import logits_model
from portraitseg.card import Card
from portraitseg.data import pipeline
from portraitseg.data.sources import Source
from portraitseg.image import Float32, UInt8
from portraitseg.metrics import Meter

BATCH = 16

Watch = Callable[[int, UInt8, UInt8, Float32], None]
"""(index, picture (H,W,3), mask (H,W), prob (H,W)) -> nothing."""


def predict(model: keras.Model, card: Card, source: Source) -> Iterator[tuple[int, np.ndarray]]:
    """Every picture's index and prob (h,w), float32 in [0,1], at the net's size."""
    trunk = logits_model(model)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def prob(x: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(losses.person_logits(trunk(x, training=False)))

    for indices, x in pipeline.eval_batches(source, card, batch=BATCH):
        for index, value in zip(indices.numpy(), prob(x).numpy()[..., 0], strict=True):
            yield int(index), value


def validate(model: keras.Model, card: Card, source: Source, watch: Watch | None = None) -> dict[str, float]:
    """IoU, mIoU (percent) and MAE at the masks' own sizes; `watch` sees every prediction."""
    meter = Meter(boundary=False)
    for index, prob in predict(model, card, source):
        picture, mask = source.load(index)
        whole = image.from_prob(prob, mask.shape, card.fit)
        meter.add(source.name(index), whole, mask)
        if watch:
            watch(index, picture, mask, whole)
    return meter.summary()
