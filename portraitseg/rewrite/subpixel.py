"""Transposed convolutions as plain ones with four times the channels, spread over 2x2 pixels afterwards (DEPTH_TO_SPACE).

The same function (Shi 2016, arXiv:1609.07009). XNNPACK computes a transposed convolution in four parts, one output pixel at a time: 16
channels to one at 256x256, kernel 2x2, took 7.3 ms in int8 and 10.3 in float, in this form 0.4 and 2.6; 24 to 24 at 56x56, kernel 4x4,
0.50 and 4.3 ms, in this form 0.25 and 1.0 (one thread, an Intel CPU with AVX-512, TF 2.21, LiteRT 2.3).

Of a 3x3 kernel the four pixels see four, two, two and one of the nine taps. Each is a convolution of its own there, as one for all would
multiply by seven zeros: `munet_mnv2` at 128 px takes 12.0 ms in float and 3.3 in int8 so, with its transposed convolutions 21.0 and 5.3
(one thread, an AMD CPU with AVX-512). Where channels are few, one for all is faster all the same.
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.resizing import DepthwiseConv2DTranspose
from portraitseg.rewrite.graph import Array, Graph, Step, copy_layer

FEW = 8
"""Channels that a 3x3 kernel may give for one convolution to be faster than four: measured for 8 and 16."""
MOST_MIXED = 1024
"""Multiply-adds of a pixel up to which a 1x1 convolution is done four-fold before the spreading, on a quarter of the pixels."""

# kernel -> pixels of padding before and behind, and the tap that carries window pixel (column) to output pixel (row); -1: none.
# A 4x4 kernel's blocks begin one output pixel early; the rim of one pixel is cut off.
TAPS = {
    2: ((0, 0), ((0,), (1,))),
    3: ((1, 0), ((2, 0), (-1, 1))),
    4: ((1, 1), ((2, 0), (3, 1))),
}


@keras.utils.register_keras_serializable(package="portraitseg")
class DepthToSpace(layers.Layer):  # type: ignore[misc]  # its base has no types
    """Spread each pixel's channels over block x block pixels."""

    def __init__(self, block: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,block*block*C), the block's row first, then its column, then C -> (N,h*block,w*block,C)."""
        return tf.nn.depth_to_space(inputs, self.block)

    def get_config(self) -> dict[str, Any]:
        """The block, beside the base layer's settings."""
        return {**super().get_config(), "block": self.block}


def spread(graph: Graph) -> None:
    """Rewrite the transposed convolutions of stride 2, together with the activation behind each, and what follows from it."""
    for step in graph.find((layers.Conv2DTranspose, DepthwiseConv2DTranspose), _can_spread):
        _spread(graph, step)
    for step in graph.find(layers.Conv2D, lambda step: _can_mix(graph, step)):
        _mix_first(graph, step)
    for step in graph.find(DepthToSpace):
        _join(graph, step)


def _can_spread(step: Step) -> bool:
    layer = step.layer
    if isinstance(layer, DepthwiseConv2DTranspose):
        return layer.factor == 2
    size = layer.kernel_size[0]
    square = layer.kernel_size == (size, size) and size in TAPS and layer.strides == (2, 2) and layer.dilation_rate == (1, 1)
    plain = layer.activation is keras.activations.linear and layer.groups == 1 and layer.output_padding is None
    return square and plain and (layer.padding == "same" or size == 2)


def _spread(graph: Graph, step: Step) -> None:
    kernel, bias = _kernel(step)
    size, act = kernel.shape[0], _activation(graph, step)
    name = act.name if act else step.name
    make = _each if size == 3 and kernel.shape[2] > FEW else _all
    steps = make(step, kernel, [] if bias is None else [bias], act)  # 1,h,w,4*F
    if act:
        graph.replace(act)
    whole = f"{name}_whole" if size == 4 else name
    steps.append(Step(DepthToSpace(name=whole), [steps[-1].name]))  # 1,2h,2w,F
    if size == 4:
        steps.append(Step(layers.Cropping2D(1, name=name), [whole]))
    graph.replace(step, *steps)


def _all(step: Step, kernel: Array, bias: list[Array], act: Step | None) -> list[Step]:
    """One convolution for the four pixels."""
    padding, taps = TAPS[kernel.shape[0]]
    pad = [Step(layers.ZeroPadding2D((padding, padding), name=f"{step.name}_pad"), step.inputs)] if sum(padding) else []
    conv = layers.Conv2D(4 * kernel.shape[2], len(taps[0]), use_bias=bool(bias), name=f"{step.name}_phases")
    weights = [_phases(kernel, taps), *(np.tile(values, 4) for values in bias)]
    steps = [*pad, Step(conv, [pad[0].name] if pad else step.inputs, weights)]
    return [*steps, *_again(act, "phases", conv.name, [np.tile(values, (1, 1, 4)) for values in act.weights])] if act else steps


def _each(step: Step, kernel: Array, bias: list[Array], act: Step | None) -> list[Step]:
    """One for each of the four pixels of a 3x3 kernel; XNNPACK takes the padding in."""
    steps, made = [], []
    for y, x in np.ndindex(2, 2):
        phase, source = f"phase{y}{x}", step.inputs[0]
        if y == 0 or x == 0:
            steps.append(Step(layers.ZeroPadding2D(((1 - y, 0), (1 - x, 0)), name=f"{step.name}_{phase}_pad"), [source]))
            source = steps[-1].name
        rows, columns = ([1] if odd else [2, 0] for odd in (y, x))  # as in TAPS
        part = kernel[np.ix_(rows, columns)].transpose(0, 1, 3, 2)
        conv = layers.Conv2D(part.shape[3], part.shape[:2], use_bias=bool(bias), name=f"{step.name}_{phase}")
        steps.append(Step(conv, [source], [part, *bias]))
        steps += _again(act, phase, conv.name, act.weights) if act else []
        made.append(steps[-1].name)
    return [*steps, Step(layers.Concatenate(name=f"{step.name}_phases"), made)]


def _again(act: Step, phase: str, source: str, slopes: list[Array]) -> list[Step]:
    """The activation, of what `source` gives."""
    return [Step(copy_layer(act.layer, name=f"{act.name}_{phase}")[0], [source], slopes)]


def _kernel(step: Step) -> tuple[Array, Array | None]:
    """Kernel (k,k,out,in) and bias (out,) of a transposed convolution."""
    kernel = step.weights[0]
    if isinstance(step.layer, DepthwiseConv2DTranspose):
        return kernel[..., None] * np.eye(kernel.shape[-1], dtype=kernel.dtype), None
    return kernel, step.weights[1] if step.layer.use_bias else None


def _activation(graph: Graph, step: Step) -> Step | None:
    """The activation, if one alone takes what `step` gives, that is the same for every pixel, and so may come before the spreading."""
    takers = graph.consumers(step.name)
    if len(takers) != 1 or not graph.only_for(step.name, takers[0]) or not graph.alone(takers[0]):
        return None
    (taker,) = takers
    if isinstance(taker.layer, layers.PReLU):
        return taker if taker.weights[0].shape[:2] == (1, 1) else None
    return taker if isinstance(taker.layer, (layers.ReLU, layers.LeakyReLU)) else None


def _phases(kernel: Array, taps: tuple[tuple[int, ...], ...]) -> Array:
    """A transposed kernel (k,k,out,in) as a plain one (n,n,in,4*out), output pixel by output pixel."""
    size = len(taps[0])
    made = np.zeros((size, size, kernel.shape[3], 2, 2, kernel.shape[2]), kernel.dtype)
    for y, row in enumerate(taps):
        for x, column in enumerate(taps):
            for i, j in np.ndindex(size, size):
                if row[i] >= 0 and column[j] >= 0:
                    made[i, j, :, y, x] = kernel[row[i], column[j]].T
    return made.reshape(size, size, kernel.shape[3], -1)


def _can_mix(graph: Graph, step: Step) -> bool:
    layer, maker = step.layer, graph.steps[step.inputs[0]]
    if layer.__class__ is not layers.Conv2D or layer.kernel_size != (1, 1) or layer.strides != (1, 1) or layer.groups != 1:
        return False
    small = 16 * step.weights[0].size <= MOST_MIXED
    return small and isinstance(maker.layer, DepthToSpace) and maker.layer.block == 2 and graph.only_for(maker.name, step)


def _mix_first(graph: Graph, step: Step) -> None:
    """Swap a 1x1 convolution with the spreading before it: the same kernel for each of the four pixels."""
    spreader, (kernel, *bias) = graph.steps[step.inputs[0]], step.weights
    wide = np.kron(np.eye(4, dtype=kernel.dtype), kernel[0, 0])[None, None]
    layer, _ = copy_layer(step.layer, filters=wide.shape[3], name=f"{step.name}_four")
    conv = Step(layer, spreader.inputs, [wide, *(np.tile(value, 4) for value in bias)])
    graph.replace(spreader)
    graph.replace(step, conv, Step(DepthToSpace(name=step.name), [conv.name]))


def _join(graph: Graph, step: Step) -> None:
    """Two spreadings in a row as one over a larger block, the channels put in its order by the convolution before."""
    first = graph.steps[step.inputs[0]]
    conv = graph.steps[first.inputs[0]] if isinstance(first.layer, DepthToSpace) else first
    if conv is first or conv.layer.__class__ is not layers.Conv2D or not graph.alone(conv):
        return
    if not graph.only_for(first.name, step) or not graph.only_for(conv.name, first):
        return
    outer, inner, channels = first.layer.block, step.layer.block, conv.weights[0].shape[3]
    order = np.arange(channels).reshape(outer, outer, inner, inner, -1).transpose(0, 2, 1, 3, 4).ravel()
    conv.weights = [value[..., order] for value in conv.weights]
    graph.replace(first)
    graph.replace(step, Step(DepthToSpace(outer * inner, name=step.name), [conv.name]))
