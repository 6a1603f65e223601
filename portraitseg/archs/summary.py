"""What a net costs to run."""

from math import prod

import tf_keras as keras
from tf_keras import layers


def macs(model: keras.Model) -> int:
    """Multiply-adds of one picture: convolutions alone, without biases and activations."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2DTranspose):
            total += prod(layer.kernel.shape) * prod(layer.input_shape[1:3])
        elif isinstance(layer, layers.DepthwiseConv2D):
            total += prod(layer.depthwise_kernel.shape) * prod(layer.output_shape[1:3])
        elif isinstance(layer, layers.Conv2D):
            total += prod(layer.kernel.shape) * prod(layer.output_shape[1:3])
    return total
