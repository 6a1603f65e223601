"""Enlarging feature maps: three ways to double a map bilinearly, none of which shifts the mask against the picture.

| resize | op in the file | centres |
|---|---|---|
| `half_pixel` | RESIZE_BILINEAR, half-pixel centres | pixel i of n covers [i, i+1) in both maps: OpenCV's and PyTorch's default |
| `align_corners` | RESIZE_BILINEAR, corners aligned | the corner pixels' centres coincide; for runtimes that know no half-pixel centres |
| `transpose` | TRANSPOSE_CONV, fixed weights | as half_pixel; for runtimes without a resize; the border fades by a quarter |

TensorFlow 1's default (neither flag) moved everything by half a pixel up and to the left, and is left out for that.
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

KerasTensor = Any
RESIZES = ("half_pixel", "align_corners", "transpose")


def upsample(x: KerasTensor, factor: int = 2, *, resize: str = "half_pixel", name: str) -> KerasTensor:
    """Enlarge bilinearly: (N,h,w,C) -> (N,h*factor,w*factor,C).

    Args:
        x: the map.
        factor: for "transpose" a power of two.
        resize: one of RESIZES.
        name: of the layer.
    """
    if factor == 1:
        return x
    if resize == "half_pixel":
        return layers.UpSampling2D(factor, interpolation="bilinear", name=name)(x)
    if resize == "align_corners":
        return AlignCorners(factor, name=name)(x)
    return BilinearTranspose(factor, name=name)(x)


def bilinear_kernel(factor: int = 2) -> np.ndarray:
    """Kernel (2*factor,2*factor), factor even, with which a transposed convolution of stride `factor` enlarges bilinearly.

    The weights of the output pixels about an input pixel fall linearly with the distance of the centres (Long 2015, arXiv:1411.4038).
    """
    taps = 1 - np.abs(np.arange(2 * factor) - (factor - 0.5)) / factor
    return np.asarray(np.outer(taps, taps), np.float32)


class _Enlarging(layers.Layer):  # type: ignore[misc]  # its base has no types
    """A layer without weights that multiplies height and width by `factor`."""

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def _enlarged(self, shape: Any) -> tuple[Any, ...]:
        batch, height, width, channels = shape
        return batch, height and height * self.factor, width and width * self.factor, channels

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """(N,h,w,C) -> (N,h*factor,w*factor,C)."""
        return self._enlarged(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The factor, beside the base layer's settings."""
        return {**super().get_config(), "factor": self.factor}


@keras.utils.register_keras_serializable(package="portraitseg")
class AlignCorners(_Enlarging):
    """Bilinear resize whose corner pixels keep their places."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,C) -> (N,h*factor,w*factor,C)."""
        height, width = inputs.shape[1] * self.factor, inputs.shape[2] * self.factor
        return tf.compat.v1.image.resize_bilinear(inputs, (height, width), align_corners=True)


@keras.utils.register_keras_serializable(package="portraitseg")
class BilinearTranspose(_Enlarging):
    """Bilinear resize by a transposed convolution of fixed weights."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,C) -> (N,h*factor,w*factor,C)."""
        kernel = np.repeat(bilinear_kernel(self.factor)[..., None], inputs.shape[-1], axis=-1)
        return depthwise_transpose(inputs, tf.constant(kernel, inputs.dtype), self.factor)


@keras.utils.register_keras_serializable(package="portraitseg")
class DepthwiseConv2DTranspose(_Enlarging):
    """Transposed convolution of each channel by itself, kernel 4x4, stride 2, no bias; starts as a bilinear resize.

    Neither Keras nor TFLite has a grouped transposed convolution: it is computed, and shipped, as a full one that is 0 off the diagonal.
    """

    def build(self, input_shape: Any) -> None:
        """Create the kernel (4,4,C)."""
        start = np.repeat(bilinear_kernel(self.factor)[..., None], input_shape[-1], axis=-1)
        self.kernel = self.add_weight(name="kernel", shape=start.shape, initializer=keras.initializers.Constant(start))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,C) -> (N,h*2,w*2,C)."""
        return depthwise_transpose(inputs, tf.cast(self.kernel, inputs.dtype), self.factor)


def depthwise_transpose(x: tf.Tensor, kernel: tf.Tensor, factor: int) -> tf.Tensor:
    """Transposed convolution, stride `factor`, channel by channel: (N,h,w,C) and (k,k,C) -> (N,h*factor,w*factor,C)."""
    _, height, width, channels = x.shape
    shape = (tf.shape(x)[0] if x.shape[0] is None else x.shape[0], height * factor, width * factor, channels)
    diagonal = kernel[..., None] * tf.eye(channels, dtype=kernel.dtype)  # not tf.linalg.diag, which no converter makes a constant of
    return tf.nn.conv2d_transpose(x, diagonal, shape, factor, "SAME")
