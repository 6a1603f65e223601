"""PReLU in operations that XNNPACK takes in int8.

With slopes a, one a channel, of any size and sign, prelu(x) = a * x + (1 - a) * relu(x) = relu(x) - a * relu(-x).

* Where few channels lie between two dense convolutions, the first gives x and -x with a ReLU, and the second's kernel takes -a in: no
  operation more. It pays up to 8 channels (22 us for 8 at 128x128; the other way 121), beyond them the doubled work costs more.
* Anywhere else x and relu(x) are laid one above the other, and a depthwise convolution of two taps, a and 1 - a, as far apart as the
  picture is high, adds them up: three cheap operations, and x keeps one scale throughout. In its place two 1x1 depthwise convolutions,
  one with a ReLU, and an ADD took 1.7 to 3 times as long (128 channels at 32x32 to 8 at 256x256); a dense 1x1 convolution of both,
  side by side, 1.2 to 2.7 times.
"""

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg.export.graph import Array, Graph, Step, copy_layer

FEW = 8
"""Up to so many channels are doubled."""


def rewrite_prelus(graph: Graph) -> None:
    """Replace every PReLU whose slopes differ by channel alone."""
    for step in graph.find(layers.PReLU, lambda step: step.weights[0].shape[:2] == (1, 1)):
        slopes = np.broadcast_to(step.weights[0][0, 0], graph.shapes[step.name][-1:])
        if _can_double(graph, step, len(slopes)):
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


def _can_double(graph: Graph, step: Step, channels: int) -> bool:
    maker, takers = graph.steps[step.inputs[0]], graph.consumers(step.name)
    return (
        channels <= FEW
        and step.name != graph.output
        and graph.only_for(maker.name, step)
        and maker.layer.__class__ in _DENSE
        and maker.layer.activation is keras.activations.linear
        and all(taker.layer.__class__ in _DENSE for taker in takers)
        and all(convolution.layer.groups == 1 for convolution in (maker, *takers))
        and graph.alone(maker, *takers)
    )


_DENSE = (layers.Conv2D, layers.Conv2DTranspose)


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
