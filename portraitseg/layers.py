"""The blocks that every arch is made of. All take and return symbolic tensors (N,H,W,C) and name each layer by a prefix."""

from typing import Any

import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

KerasTensor = Any


@keras.utils.register_keras_serializable(package="portraitseg")
class Dropout(layers.Layer):  # type: ignore[misc]  # its base has no types
    """Dropout whose noise comes from TensorFlow's global generator.

    Resetting that generator (`tf.random.get_global_generator().reset_from_seed`) replays the same noise, which is what lets an
    interrupted training continue bit-exactly; the stock layer hides its state in the kernel.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """(N,H,W,C) -> (N,H,W,C); the identity outside training."""
        if not training or not self.rate:
            return tf.identity(inputs)
        noise = tf.random.get_global_generator().uniform(tf.shape(inputs))
        return inputs * tf.cast(noise >= self.rate, inputs.dtype) / (1.0 - self.rate)

    def get_config(self) -> dict[str, Any]:
        """The rate, beside the base layer's settings."""
        return {**super().get_config(), "rate": self.rate}


def divisible(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of 8, never losing more than 10% (MobileNetV2's rule, arXiv:1801.04381)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def conv(x: KerasTensor, filters: int, kernel: int, *, stride: int = 1, bias: bool = True, name: str) -> KerasTensor:
    """Convolution, "same" padding, He initialisation."""
    return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=bias, kernel_initializer="he_normal", name=name)(
        x
    )  # N,h/stride,w/stride,filters


def depthwise(x: KerasTensor, *, stride: int = 1, bias: bool = True, name: str) -> KerasTensor:
    """3x3 depthwise convolution, "same" padding."""
    return layers.DepthwiseConv2D(3, stride, padding="same", use_bias=bias, depthwise_initializer="he_normal", name=name)(
        x
    )  # N,h/stride,w/stride,C


def deconv(x: KerasTensor, filters: int, kernel: int = 3, *, stride: int = 2, name: str) -> KerasTensor:
    """Transposed convolution with bias."""
    return layers.Conv2DTranspose(filters, kernel, stride, padding="same", kernel_initializer="he_normal", name=name)(
        x
    )  # N,h*stride,w*stride,filters


def norm(x: KerasTensor, *, name: str) -> KerasTensor:
    """Batch normalisation; the trainer sets the momentum of all of them at once."""
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def relu(x: KerasTensor, *, limit: float | None = None, name: str) -> KerasTensor:
    """ReLU, or ReLU6 with limit=6."""
    return layers.ReLU(max_value=limit, name=name)(x)


def upsample(x: KerasTensor, factor: int = 2, *, name: str) -> KerasTensor:
    """Bilinear resize with half-pixel centres: the mask does not shift against the picture."""
    return layers.UpSampling2D(factor, interpolation="bilinear", name=name)(x)  # N,h*factor,w*factor,C
