"""The deploy graph in operations that XNNPACK takes in int8, so that it runs in one piece.

Computes the same function, for graphs that `simplify` went over; for conversion to int8 alone, where some of the replacements are free
that cost time in float. Each was chosen by measuring (int8, one thread, LiteRT 2.3 on an Intel CPU with AVX-512, 64 channels at 64x64 or
96 at 32x32):

| not taken | in its place | instead of |
|---|---|---|
| ReLU, ReLU6 that no operation can take in | 1x1 max-pooling with the ReLU fused, for XNNPACK a clamp: 3 us | 1x1 depthwise: 34 us |
| PReLU, steep or flat LeakyReLU | see `int8_prelu`: 131 us | two 1x1 depthwise and ADD: 247 us, on its own 2900 us |
| HARD_SWISH | see `int8_hard_swish`: 10 us (this row on an AMD CPU) | with MUL by a sixth: 56 us, with a 1x1 depthwise: 51 us |
| batch normalisation that no convolution takes | 1x1 depthwise, a scale for each channel | MUL and ADD, one scale for all |
| RESIZE_NEAREST_NEIGHBOR | concatenations and reshapes: copies alone | |
| CONCATENATION of more than 5 | several | |
| AVERAGE_POOL_2D | depthwise convolution | |
"""

from collections.abc import Callable

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg.layers import HardSigmoid
from portraitseg.rewrite.graph import Graph, Step, copy_layer
from portraitseg.rewrite.int8_hard_swish import rewrite_hard_swishes
from portraitseg.rewrite.int8_prelu import bent, rewrite_prelus

FUSES_RELU = (
    layers.Conv2D,  # and Conv2DTranspose
    layers.DepthwiseConv2D,
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.MaxPooling2D,
    layers.Rescaling,
)
"""What the converter merges a ReLU into that alone follows it."""
TINY = 1e-9
"""A bias for transposed convolutions without one: the converter finds their ReLU only behind a bias. Far below an int8 step."""

MOST_JOINED = 5
"""Inputs of a concatenation."""


def to_int8_graph(model: keras.Model) -> keras.Model:
    """Rewrite a deploy graph for int8.

    Args:
        model: (1,H,W,C) -> prob, as `deploy.to_deploy` gives it.

    Returns:
        A net that computes the same, to about 1e-6. What it has no replacement for stays; `tflite_report.inspect` counts the parts.
    """
    graph = Graph(model)
    for rule in RULES:
        rule(graph)
    return graph.build()


def split_hard_sigmoid(graph: Graph) -> None:
    """Hard-sigmoid, relu6(x + 3) / 6, with a step for each tensor that the file has, so that each can be given its range."""
    for step in graph.find(HardSigmoid):
        shifted = Step(layers.Rescaling(1.0, 3.0, name=f"{step.name}_shifted"), step.inputs)
        gate = Step(layers.ReLU(6.0, name=f"{step.name}_gate"), [shifted.name])
        graph.replace(step, shifted, gate, Step(layers.Rescaling(1 / 6, name=step.name), [gate.name]))


def rewrite_normalisations(graph: Graph) -> None:
    """Batch normalisations that no convolution could take in."""
    for step in graph.find(layers.BatchNormalization, lambda step: list(step.layer.axis) in ([3], [-1])):
        values = dict(zip(_statistics(step.layer), np.asarray(step.weights, np.float64), strict=True))
        scale = values.get("gamma", 1.0) / np.sqrt(values["variance"] + step.layer.epsilon)
        shift = values.get("beta", 0.0) - values["mean"] * scale
        weights = [scale.reshape(1, 1, -1, 1).astype(np.float32), shift.astype(np.float32)]
        graph.replace(step, Step(layers.DepthwiseConv2D(1, name=step.name), step.inputs, weights))


def rewrite_leaky(graph: Graph) -> None:
    """LeakyReLUs of a slope that XNNPACK refuses (it takes 1/256 to 128 in steps of the tensors' scales) as PReLUs of equal slopes."""
    for step in graph.find(layers.LeakyReLU, lambda step: not 0.005 <= abs(float(step.layer.alpha)) <= 64):
        slopes = np.full(graph.shapes[step.name][-1], float(step.layer.alpha), np.float32)
        graph.replace(step, *bent(step, slopes, graph.shapes[step.name]))


def rewrite_average_pooling(graph: Graph) -> None:
    """Average pooling without a border as a depthwise convolution."""
    for step in graph.find(layers.AveragePooling2D):
        layer, (_, height, width, _) = step.layer, graph.shapes[step.inputs[0]]
        rows, columns = layer.pool_size
        borderless = layer.padding == "valid" or ((height % rows, width % columns) == (0, 0) and layer.strides == layer.pool_size)
        if not borderless or layer.strides[0] != layer.strides[1]:
            continue
        channels = graph.shapes[step.name][-1]
        mean = np.full((rows, columns, channels, 1), 1 / (rows * columns), np.float32)
        graph.replace(
            step, Step(layers.DepthwiseConv2D(layer.pool_size, layer.strides, use_bias=False, name=step.name), step.inputs, [mean])
        )


def rewrite_nearest(graph: Graph) -> None:
    """Nearest enlarging by copies: each pixel's channels beside themselves, then each row."""
    for step in graph.find(layers.UpSampling2D, lambda step: step.layer.interpolation == "nearest"):
        (rows, columns), (_, height, width, channels) = step.layer.size, graph.shapes[step.name]
        steps, source = [], step.inputs[0]
        for number, axis, shape in ((columns, 3, (height // rows, width, channels)), (rows, 2, (height, width, channels))):
            tiled = Step(layers.Concatenate(axis=axis, name=f"{step.name}_tile{axis}"), [source] * number)
            name = step.name if axis == 2 else f"{step.name}_wide"
            steps += [tiled, Step(layers.Reshape(shape, name=name), [tiled.name])]
            source = name
        graph.replace(step, *steps)


def split_concatenations(graph: Graph) -> None:
    """Concatenations of more maps than XNNPACK takes at once, in turns."""
    for step in graph.find(layers.Concatenate, lambda step: len(step.inputs) > MOST_JOINED):
        axis, (first, *rest), turns = step.layer.axis, step.inputs, []
        while rest:
            name = f"{step.name}_first{len(step.inputs) - len(rest)}" if len(rest) >= MOST_JOINED else step.name
            turns.append(Step(layers.Concatenate(axis=axis, name=name), [first, *rest[: MOST_JOINED - 1]]))
            first, rest = name, rest[MOST_JOINED - 1 :]
        graph.replace(step, *turns)


def split_sums(graph: Graph) -> None:
    """Sums and products of more than two maps, which the file holds two by two, with a step for each tensor on the way."""
    for step in graph.find((layers.Add, layers.Multiply), lambda step: len(step.inputs) > 2):
        (first, *rest), turns = step.inputs, []
        for number, other in enumerate(rest, 2):
            name = step.name if number == len(step.inputs) else f"{step.name}_first{number}"
            turns.append(Step(step.layer.__class__(name=name), [first, other]))
            first = name
        graph.replace(step, *turns)


def rewrite_lone_relus(graph: Graph) -> None:
    """Put a 1x1 max-pooling, which is nothing, before each ReLU that nothing else can take in."""
    for step in graph.find((layers.ReLU, layers.Activation), is_relu):
        maker = graph.steps.get(step.inputs[0])
        if maker is None or not graph.only_for(maker.name, step) or not _fuses(graph, maker):
            pool = Step(layers.MaxPooling2D(1, 1, name=f"{step.name}_clamp"), step.inputs)
            graph.replace(step, pool, Step(step.layer, [pool.name], name=step.name))


RULES: tuple[Callable[[Graph], None], ...] = (
    rewrite_hard_swishes,
    split_hard_sigmoid,
    rewrite_normalisations,
    rewrite_average_pooling,
    rewrite_nearest,
    split_concatenations,
    split_sums,
    rewrite_leaky,
    rewrite_prelus,
    rewrite_lone_relus,  # last: the others leave ReLUs
)


def _statistics(layer: layers.BatchNormalization) -> list[str]:
    """What a batch normalisation's weights are, in their order."""
    return [*(["gamma"] if layer.scale else []), *(["beta"] if layer.center else []), "mean", "variance"]


def is_relu(step: Step) -> bool:
    """Whether the step is a ReLU or ReLU6."""
    layer = step.layer
    if isinstance(layer, layers.Activation):
        return layer.activation is keras.activations.relu
    return isinstance(layer, layers.ReLU) and not layer.negative_slope and not layer.threshold and layer.max_value in (None, 6)


def _fuses(graph: Graph, maker: Step) -> bool:
    """Whether the converter merges a ReLU into `maker`, after giving it a bias where only that is missing."""
    layer = maker.layer
    if not isinstance(layer, FUSES_RELU) or getattr(layer, "activation", keras.activations.linear) is not keras.activations.linear:
        return False
    if isinstance(layer, layers.Conv2DTranspose) and not (layer.use_bias and np.any(maker.weights[1])):
        if not graph.alone(maker):
            return False
        maker.layer, _ = copy_layer(layer, use_bias=True)
        maker.weights = [maker.weights[0], np.full(layer.filters, TINY, np.float32)]
    return True
