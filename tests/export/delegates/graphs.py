"""Small nets converted with TensorFlow's converter, for the tests of what delegates take."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.export.delegates.graph import Graph, read
from portraitseg.quiet import quiet


def convert(model: keras.Model, *, int8: bool = True, io: tf.DType = tf.uint8) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        rng = np.random.default_rng(0)
        shape = (2, 1, *model.input_shape[1:])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = io
        converter.representative_dataset = lambda: ([x.astype(np.float32)] for x in rng.uniform(-1, 1, shape))
    with quiet():
        return bytes(converter.convert())


def net(*stack: layers.Layer, size: int = 16, batch: int | None = 1) -> keras.Model:
    x = image = keras.Input((size, size, 4), batch_size=batch)
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


def conv(**settings: object) -> layers.Layer:
    return layers.Conv2D(4, 3, padding="same", **settings)


def deconv(**settings: object) -> layers.Layer:
    """Without a bias version 2 of TRANSPOSE_CONV, with one 3, with an activation 4."""
    return layers.Conv2DTranspose(4, 2, 2, bias_initializer="ones", **settings)


@functools.cache
def graph(make: Callable[[], keras.Model], *, int8: bool = True, io: tf.DType = tf.uint8) -> Graph:
    return read(convert(make(), int8=int8, io=io), make.__name__)


def mapped() -> keras.Model:
    """All of it is on the Edge TPU's list, within its limits; 16 px, then 32, 64, 128."""
    return net(
        conv(), layers.ReLU(), layers.MaxPooling2D(), deconv(name="up1"), deconv(name="up2"),
        layers.PReLU(alpha_initializer="ones", shared_axes=[1, 2], name="slopes"),
        layers.UpSampling2D(2, interpolation="bilinear", name="bilinear"), layers.UpSampling2D(2, name="nearest"),
        conv(), layers.Activation("sigmoid"),
    )  # fmt: skip


def unmapped() -> keras.Model:
    """Ops that are not on the list or outside its limits, each between two that are."""
    hard_swish = layers.Lambda(lambda x: x * tf.nn.relu6(x + 3) / 6, name="swish")
    spread = layers.Lambda(lambda x: tf.nn.depth_to_space(x, 2), name="spread")
    return net(
        conv(), layers.PReLU(alpha_initializer="ones", name="pixel_slopes"), conv(), layers.LeakyReLU(0.1, name="leaky"), conv(),
        hard_swish, conv(), spread, conv(), layers.UpSampling2D(16, interpolation="bilinear", name="large"), conv(),
        layers.Softmax(name="classes"), conv(name="last"),
    )  # fmt: skip


def fused() -> keras.Model:
    return net(conv(), deconv(name="up"), layers.ReLU(name="up_relu"), conv())


def enlarged() -> keras.Model:
    """A transposed convolution without bias, and a resize of a size that the tests change."""
    return net(conv(), deconv(use_bias=False), layers.UpSampling2D(8, interpolation="bilinear", name="up"), conv())


def unknown_batch() -> keras.Model:
    return net(conv(), deconv(name="up"), batch=None)


def leaky() -> keras.Model:
    """A chain like YOLO's, which leaves the list at its third op."""
    return net(conv(), layers.LeakyReLU(0.1, name="leaky"), conv(), conv())


def lone_relus() -> keras.Model:
    """ReLUs that nothing can take in, with a skip around one of them."""
    x = image = keras.Input((16, 16, 4), batch_size=1)
    skip = x = conv()(x)
    for number in range(2):
        x = conv()(layers.ReLU(name=f"lone{number}")(x))
        x = skip = layers.Add()([x, skip])
    return keras.Model(image, x)


def averaged() -> keras.Model:
    return net(conv(), layers.GlobalAveragePooling2D(keepdims=True), conv())
