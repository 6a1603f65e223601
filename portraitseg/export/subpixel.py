"""Transposed convolutions whose strokes do not overlap, as 1x1 convolutions: XNNPACK's own kernels for the former are slow.

With a kernel as large as its stride s, each input pixel makes an s x s block of output pixels by itself: a 1x1 convolution to s * s times
the channels, and DEPTH_TO_SPACE, which only moves. One thread, LiteRT 2.3, CPU with AVX-512, 2x2: int8 1.4 to 1.9 times as fast with
32 output channels and more, 2.2 times with 16, 10 times with one (16 channels at 128x128: 0.86 to 0.09 ms); float 1.8 to 5.9 times.
A 3x3 kernel of stride 2, as a 2x2 convolution, gained 0.9 to 1.2 times, and stays as it is.
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.export.graph import Array, Graph, Step


@keras.utils.register_keras_serializable(package="portraitseg")
class DepthToSpace(layers.Layer):  # type: ignore[misc]  # its base has no types
    """Each pixel's channels, in blocks, as a square of pixels: (N,h,w,s*s*C) -> (N,h*s,w*s,C)."""

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,s*s*C) -> (N,h*s,w*s,C)."""
        return tf.nn.depth_to_space(inputs, self.block)

    def get_config(self) -> dict[str, Any]:
        """The block's side, beside the base layer's settings."""
        return {**super().get_config(), "block": self.block}


def to_subpixel(model: keras.Model) -> keras.Model:
    """The net with `rewrite_subpixel` applied: the same function, for float files."""
    graph = Graph(model)
    rewrite_subpixel(graph)
    return graph.build()


def rewrite_subpixel(graph: Graph) -> None:
    """Replace every transposed convolution whose kernel is as large as its stride; a ReLU that alone follows it stays beside it."""
    for step in graph.find(layers.Conv2DTranspose, _is_apart):
        block, filters = step.layer.strides[0], step.layer.filters
        wide = layers.Conv2D(block**2 * filters, 1, use_bias=step.layer.use_bias, name=f"{step.name}_wide")
        weights = _widened(step.weights)
        takers = graph.consumers(step.name)
        if step.name != graph.output and len(takers) == 1 and isinstance(takers[0].layer, layers.ReLU):
            relu = takers[0]
            graph.replace(step, Step(wide, step.inputs, weights))
            graph.replace(relu, relu, Step(DepthToSpace(block, name=f"{step.name}_space"), [relu.name]))
        else:
            graph.replace(step, Step(wide, step.inputs, weights), Step(DepthToSpace(block, name=step.name), [wide.name]))


def _is_apart(step: Step) -> bool:
    layer = step.layer
    square = layer.kernel_size == layer.strides and layer.strides[0] == layer.strides[1] > 1
    return square and layer.activation is keras.activations.linear and layer.dilation_rate == (1, 1)


def _widened(weights: list[Array]) -> list[Array]:
    """Kernel (s,s,out,in) -> (1,1,in,s*s*out), whose channels go by row, column and then output channel; the bias for each of them."""
    kernel, *bias = weights
    rows, columns, filters, channels = kernel.shape
    wide = kernel.reshape(rows * columns * filters, channels).T[None, None]
    return [np.ascontiguousarray(wide), *(np.tile(vector, rows * columns) for vector in bias)]
