"""A deploy graph as a TensorFlow function, from which every format is made: image -> prob."""

from typing import Any

import tensorflow as tf
import tf_keras as keras

IMAGE, PROB = "image", "prob"


def signature(model: keras.Model) -> list[tf.TensorSpec]:
    """The one input, (1,H,W,C)."""
    return [tf.TensorSpec(model.input_shape, tf.float32, name=IMAGE)]


def function(model: keras.Model) -> Any:
    """A `tf.function` with the input `image` and the output `prob`; `model` has to be kept as long as it is used."""
    return tf.function(lambda image: {PROB: tf.identity(model(image, training=False), name=PROB)}, input_signature=signature(model))
