"""Batch normalisation gets its statistics back, which folding has merged away.

Weights from a folded file leave a normalisation with mean 0 and variance 1: right in inference, and quite another function in training,
where the batch's own statistics are taken. With the mean and variance that its input really has, and scale and shift that make up for
them, inference is the same function as before, and training nearly so.
"""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tf_keras as keras


def unfold(model: keras.Model, batches: Iterable[tf.Tensor], *, prefix: str = "enc_") -> None:
    """Set the statistics of the encoder's batch normalisations to those of their inputs; what it computes in inference stays.

    Args:
        model: a flat graph.
        batches: pictures (N,H,W,C) as the net gets them; 100 are plenty, each gives thousands of pixels.
        prefix: of the names of the encoder's layers.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.name.startswith(prefix)]
    probe = keras.Model(model.inputs, [norm.input for norm in norms])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def moments(x: tf.Tensor) -> list[tf.Tensor]:
        return [tf.nn.moments(tf.cast(value, tf.float32), (0, 1, 2)) for value in tf.nest.flatten(probe(x, training=False))]

    found = [moments(x) for x in batches]
    for number, norm in enumerate(norms):
        means, variances = (np.array([batch[number][kind] for batch in found], np.float64) for kind in (0, 1))  # batches,C
        _restate(norm, means.mean(0), variances.mean(0) + means.var(0))


def _restate(norm: keras.layers.Layer, mean: np.ndarray, variance: np.ndarray) -> None:
    """Give a batch normalisation other statistics (C,), and the scale and shift with which it computes what it did."""
    gamma, beta, old_mean, old_variance = (np.asarray(weight, np.float64) for weight in norm.get_weights())
    scale = gamma / np.sqrt(old_variance + norm.epsilon)
    shift = beta - old_mean * scale
    norm.set_weights([scale * np.sqrt(variance + norm.epsilon), shift + mean * scale, mean, variance])
