"""PReLU in operations that XNNPACK takes in int8.

With slopes a, one a channel, of any size and sign, prelu(x) = a * x + (1 - a) * relu(x) = relu(x) - a * relu(-x).

* Between two dense convolutions the first can give x and -x with a ReLU, and the second's kernel take -a in: no operation more, but
  twice the channels. It pays where these are few.
* Anywhere else x and relu(x) are laid one above the other, and a depthwise convolution of two taps, a and 1 - a, as far apart as the
  picture is high, adds them up: three cheap operations, x keeps one scale throughout.

Processor time of the latter against what else was tried (one thread, an Intel CPU with AVX-512; us for 128 channels at 32x32, 32 at
128x128, 8 at 256x256): 59, 263, 501; x + relu((a - 1) * x), the product by a 1x1 depthwise convolution 76, 316, 552, by MUL 73, 319, 484,
by MUL with a whole row of factors 73, 290, 301, none for slopes above 1. PRELU itself, outside XNNPACK: 1080, 4430, 4071.
"""

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg.rewrite.graph import Array, Graph, Step, copy_layer

FREE = 8
"""Up to so many channels the first convolution gives twice as many in the same time: XNNPACK computes 16 at once."""
WORTH = 75
"""Multiply-adds in the time that the other way needs for one channel of a pixel; it takes as long for 1 channel as for 16."""


def rewrite_prelus(graph: Graph) -> None:
    """Replace every PReLU whose slopes differ by channel alone."""
    for step in graph.find(layers.PReLU, lambda step: step.weights[0].shape[:2] == (1, 1)):
        slopes = np.broadcast_to(step.weights[0][0, 0], graph.shapes[step.name][-1:])
        if _can_double(graph, step) and _pays(graph, step, len(slopes)):
            _double(graph, step, slopes)
        else:
            graph.replace(step, *bent(step, slopes, graph.shapes[step.name]))


def bent(step: Step, slopes: Array, shape: tuple[int, ...]) -> list[Step]:
    """Steps that compute x > 0 ? x : slopes * x of the input of `step`.

    Args:
        step: whose name the last of them has.
        slopes: (C,).
        shape: of the input, (1,h,w,C).
    """
    (source,), name, height = step.inputs, step.name, shape[1]
    positive = Step(layers.ReLU(name=f"{name}_positive"), [source])
    stacked = Step(layers.Concatenate(axis=1, name=f"{name}_stacked"), [source, positive.name])  # 1,2h,w,C
    # strides and dilations must be equal in both directions; the kernel is one pixel wide, so that the second says nothing
    adder = layers.DepthwiseConv2D((2, 1), dilation_rate=(height, height), use_bias=False, name=name)  # 1,h,w,C
    taps = np.stack([slopes, 1 - slopes]).astype(np.float32)[:, None, :, None]  # 2,1,C,1
    return [positive, stacked, Step(adder, [stacked.name], [taps])]


def _can_double(graph: Graph, step: Step) -> bool:
    maker, takers = graph.steps[step.inputs[0]], graph.consumers(step.name)
    return (
        step.name != graph.output
        and graph.only_for(maker.name, step)
        and maker.layer.__class__ in _DENSE
        and maker.layer.activation is keras.activations.linear
        and all(taker.layer.__class__ in _DENSE for taker in takers)
        and all(convolution.layer.groups == 1 for convolution in (maker, *takers))
        and graph.alone(maker, *takers)
    )


_DENSE = (layers.Conv2D, layers.Conv2DTranspose)


def _pays(graph: Graph, step: Step, channels: int) -> bool:
    """Whether twice the channels cost less than the other way, in multiply-adds for each of its pixels."""
    made = graph.steps[step.inputs[0]].weights[0].size if channels > FREE else 0
    taken = sum(taker.weights[0].size / _pixels(taker) for taker in graph.consumers(step.name))
    return bool(made + taken <= WORTH * max(channels, 16))


def _pixels(taker: Step) -> int:
    """Input pixels for one of the taker's positions."""
    return int(np.prod(taker.layer.strides)) if taker.layer.__class__ is layers.Conv2D else 1


def _double(graph: Graph, step: Step, slopes: Array) -> None:
    maker = graph.steps[step.inputs[0]]
    kernel, *bias = maker.weights
    out = 2 if isinstance(maker.layer, layers.Conv2DTranspose) else 3
    maker.weights = [np.concatenate([kernel, -kernel], out), *(np.concatenate([vector, -vector]) for vector in bias)]
    maker.layer, _ = copy_layer(maker.layer, filters=2 * len(slopes))
    for taker in graph.consumers(step.name):
        _widen(taker, slopes)
    graph.replace(step, Step(layers.ReLU(name=step.name), step.inputs))


def _widen(taker: Step, slopes: Array) -> None:
    """Let a convolution take relu(x) and relu(-x) in the place of prelu(x)."""
    kernel, *bias = taker.weights
    if isinstance(taker.layer, layers.Conv2DTranspose):  # h,w,out,in
        taker.weights = [np.concatenate([kernel, -slopes * kernel], 3), *bias]
    else:  # h,w,in,out
        taker.weights = [np.concatenate([kernel, -slopes[:, None] * kernel], 2), *bias]
