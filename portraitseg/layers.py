"""The blocks that every arch is made of. All take and return symbolic tensors (N,H,W,C) and name each layer by a prefix."""

from typing import Any

import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.resizing import KerasTensor, upsample

__all__ = [
    "Dropout",
    "HardSigmoid",
    "HardSwish",
    "KerasTensor",
    "conv",
    "deconv",
    "depthwise",
    "divisible",
    "hard_swish",
    "norm",
    "prelu",
    "relu",
    "separable",
    "upsample",
]


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


@keras.utils.register_keras_serializable(package="portraitseg")
class HardSigmoid(layers.Layer):  # type: ignore[misc]
    """relu6(x + 3) / 6, the gate of MobileNetV3's squeeze-and-excite (Howard 2019, arXiv:1905.02244)."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,C) -> (N,h,w,C) in [0,1]."""
        return tf.nn.relu6(inputs + 3.0) * (1.0 / 6.0)


@keras.utils.register_keras_serializable(package="portraitseg")
class HardSwish(layers.Layer):  # type: ignore[misc]
    """x * relu6(x + 3) / 6 (Howard 2019, arXiv:1905.02244). A layer of its own, so that it can be quantize-annotated."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,C) -> (N,h,w,C)."""
        return inputs * tf.nn.relu6(inputs + 3.0) * (1.0 / 6.0)


def divisible(channels: float, divisor: int = 8) -> int:
    """Round to a multiple of 8, never losing more than 10% (MobileNetV2's rule, arXiv:1801.04381)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def conv(x: KerasTensor, filters: int, kernel: int, *, stride: int = 1, dilation: int = 1, bias: bool = True, name: str) -> KerasTensor:
    """Convolution, "same" padding, He initialisation: (N,h,w,C) -> (N,h/stride,w/stride,filters)."""
    layer = layers.Conv2D(
        filters, kernel, stride, padding="same", dilation_rate=dilation, use_bias=bias, kernel_initializer="he_normal", name=name
    )
    return layer(x)


def depthwise(x: KerasTensor, kernel: int = 3, *, stride: int = 1, bias: bool = True, name: str) -> KerasTensor:
    """Depthwise convolution, "same" padding: (N,h,w,C) -> (N,h/stride,w/stride,C)."""
    return layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=bias, depthwise_initializer="he_normal", name=name)(x)


def separable(x: KerasTensor, filters: int, kernel: int = 3, *, bias: bool = True, name: str) -> KerasTensor:
    """Depthwise convolution without bias, then a 1x1 convolution: (N,h,w,C) -> (N,h,w,filters)."""
    x = depthwise(x, kernel, bias=False, name=f"{name}_depthwise")
    return conv(x, filters, 1, bias=bias, name=f"{name}_project")


def deconv(x: KerasTensor, filters: int, kernel: int = 3, *, stride: int = 2, bias: bool = True, name: str) -> KerasTensor:
    """Transposed convolution: (N,h,w,C) -> (N,h*stride,w*stride,filters)."""
    layer = layers.Conv2DTranspose(filters, kernel, stride, padding="same", use_bias=bias, kernel_initializer="he_normal", name=name)
    return layer(x)


def norm(x: KerasTensor, *, epsilon: float = 1e-3, name: str) -> KerasTensor:
    """Batch normalisation; the trainer sets the momentum of all of them at once."""
    return layers.BatchNormalization(epsilon=epsilon, name=name)(x)


def relu(x: KerasTensor, *, limit: float | None = None, name: str) -> KerasTensor:
    """ReLU, or ReLU6 with limit=6."""
    return layers.ReLU(max_value=limit, name=name)(x)


def prelu(x: KerasTensor, *, name: str) -> KerasTensor:
    """ReLU whose negative slope is learned for each channel (He 2015, arXiv:1502.01852), from 0."""
    return layers.PReLU(shared_axes=[1, 2], name=name)(x)


def hard_swish(x: KerasTensor, *, name: str) -> KerasTensor:
    """Hard-swish activation."""
    return HardSwish(name=name)(x)
