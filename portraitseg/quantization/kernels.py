"""Kernels of a net in training, rounded as in the int8 file: 255 steps for each output channel, zero in their middle.

What the layers of tensorflow-model-optimization's own registry do not do: it rounds depthwise and transposed kernels with one scale for
all channels, and knows nothing of our layers.
"""

from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tf_keras import layers

from portraitseg.resizing import DepthwiseConv2DTranspose

KERNELS = {
    DepthwiseConv2DTranspose: "kernel",
    layers.DepthwiseConv2D: "depthwise_kernel",
    layers.Conv2DTranspose: "kernel",
    layers.Conv2D: "kernel",
}
"""Layer -> the attribute with its kernel; a subclass comes before its base."""


class PerChannel(tfmot.quantization.keras.quantizers.Quantizer):  # type: ignore[misc]  # its base has no types
    """Rounds a kernel as the converter will: the scale of an output channel is its largest weight's 127th, whatever that is just now."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def __call__(self, inputs: tf.Tensor, training: bool, weights: dict[str, Any], **kwargs: Any) -> tf.Tensor:
        """A kernel -> the same shape."""
        if self.kind is layers.DepthwiseConv2D:  # h,w,C,multiplier
            flat = tf.reshape(inputs, (*inputs.shape[:2], -1))
            return tf.reshape(_rounded(flat), inputs.shape)
        if self.kind is layers.Conv2DTranspose:  # h,w,out,in
            return tf.transpose(_rounded(tf.transpose(inputs, (0, 1, 3, 2))), (0, 1, 3, 2))
        return _rounded(inputs)

    def get_config(self) -> dict[str, Any]:
        """Required by the base class; the nets are built from cards, never from a configuration."""
        return {"kind": self.kind.__name__}


class KernelConfig(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]
    """The kernel by `PerChannel`; biases stay, they have 32 bits in the file; what the layer gives is rounded by a `Range`."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[tf.Variable, PerChannel]]:
        """The kernel."""
        return [(getattr(layer, KERNELS[self.kind]), PerChannel(self.kind))]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[tf.Tensor]) -> None:
        """Let the layer compute with the rounded kernel."""
        setattr(layer, KERNELS[self.kind], quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        """None."""
        return []

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]  # which cannot convert a function without statements
    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """None."""

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """None."""
        return []

    def get_config(self) -> dict[str, Any]:
        """As `PerChannel`."""
        return {"kind": self.kind.__name__}


class Rounded(tfmot.quantization.keras.QuantizeWrapperV2):  # type: ignore[misc]
    """A layer whose kernel is rounded, under the layer's own name.

    Frozen, it has no trainable weights (the base class goes on listing them), and a step counter of the base class that nothing reads
    is no weight of it.
    """

    def build(self, input_shape: Any) -> None:
        """Build the layer within."""
        super().build(input_shape)
        self._non_trainable_weights: list[tf.Variable] = []

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        """Kernel and bias, unless frozen."""
        return list(super().trainable_weights) if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        """Kernel and bias, if frozen."""
        return [] if self.trainable else list(self._dedup_weights([*self._trainable_weights, *self.layer.non_trainable_weights]))


def rounded(layer: layers.Layer) -> layers.Layer:
    """The layer with its kernel rounded, or, where it has none, the layer itself."""
    kind = next((kind for kind in KERNELS if isinstance(layer, kind)), None)
    return layer if kind is None else Rounded(layer, KernelConfig(kind), name=layer.name, dtype="float32")


def _rounded(kernel: tf.Tensor) -> tf.Tensor:
    """(..., C), each channel by itself."""
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), axis=list(range(len(kernel.shape) - 1))))
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -largest, largest, narrow_range=True)
