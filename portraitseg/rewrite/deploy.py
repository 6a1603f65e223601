"""The graph as it ships: training-only parts dropped, batch normalisation folded, prob out, batch 1, static shapes."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from portraitseg.archs import logits_model
from portraitseg.card import Card
from portraitseg.layers import Dropout
from portraitseg.rewrite.graph import Graph, Step, copy_layer, nodes
from portraitseg.rewrite.simplify import simplify

PROB = "prob"
DROPPED = (Dropout, keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise, keras.layers.GaussianDropout)
CONVS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Conv2DTranspose, keras.layers.SeparableConv2D)

Array = npt.NDArray[np.float64]


def to_deploy(model: keras.Model, card: Card, *, rewrite: bool = True) -> tuple[keras.Model, Card]:
    """The shipping form of a trained net, float32, in inference mode.

    Args:
        model: a flat functional graph, (N,H,W,C) -> logits (N,H,W,classes), and maybe aux outputs, which are dropped.
        card: the checkpoint's card.
        rewrite: into the operations that CPUs run fastest, see `simplify`; else they stay as they were built, for accelerators that
            know few.

    Returns:
        A model (1,H,W,C) -> prob (1,H,W,classes), by sigmoid or, for two classes, softmax; equal to the training graph's to about
        1e-6. And its card, with output "prob".

    Raises:
        InputError: as `logits_model`, or the input has no fixed size.
    """
    return deploy_graph(model, card, rewrite=rewrite).build(), dataclasses.replace(card, output="prob")


def deploy_graph(model: keras.Model, card: Card, *, rewrite: bool = True) -> Graph:
    """The same before it is built, for who needs no more than its weights."""
    trunk = logits_model(model)
    graph = Graph(trunk)
    _fold(graph, trunk)
    activation = "sigmoid" if card.classes == 1 else "softmax"
    graph.append(Step(keras.layers.Activation(activation, dtype="float32", name=PROB), [graph.output]))  # 1,H,W,classes
    if rewrite:
        simplify(graph)
    return graph


def fold_plan(model: keras.Model) -> dict[str, str]:
    """Convolution -> the batch normalisation that can be merged into it, by layer name.

    The convolution must be linear and have no other consumer, else its output would change for others; the normalisation must be
    called once. Dropout between them does not count.
    """
    makers: dict[int, str] = {}  # tensor -> the layer that makes it, seen through dropout
    consumers: dict[str, list[str]] = {layer.name: [] for layer in model.layers}
    uses: Counter[str] = Counter()
    for node in nodes(model):
        sources = [makers[id(tensor)] for *_, tensor in node.iterate_inbound()]
        dropped = isinstance(node.layer, DROPPED)
        makers.update((id(tensor), sources[0] if dropped else node.layer.name) for tensor in tf.nest.flatten(node.outputs))
        if not dropped:
            uses[node.layer.name] += 1
            for source in sources:
                consumers[source].append(node.layer.name)
    for tensor in model.outputs:
        consumers[makers[id(tensor)]].append("")  # whoever runs the net
    pairs = ((layer, consumers[layer.name]) for layer in model.layers if _takes_bn(layer))
    plan = {layer.name: names[0] for layer, names in pairs if len(names) == 1 and names[0] and _is_channel_bn(model.get_layer(names[0]))}
    return {conv: bn for conv, bn in plan.items() if uses[bn] == 1}


def unfolded(model: keras.Model) -> list[str]:
    """Names of the batch normalisations that no convolution can take."""
    trunk = logits_model(model)
    merged = set(fold_plan(trunk).values())
    return [layer.name for layer in trunk.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.name not in merged]


def folded_params(model: keras.Model) -> int:
    """Parameters once batch normalisation is folded and training-only heads are dropped: kernels, biases, and what stays unfolded.

    The published counts are of this kind. The deploy graph may hold more: `simplify` trades parameters for time.
    """
    return sum(folded_by_layer(model).values())


def folded_by_layer(model: keras.Model) -> dict[str, int]:
    """The same, layer by layer of the training graph; a batch normalisation that is merged has none."""
    trunk = logits_model(model)
    plan = fold_plan(trunk)
    kept = [layer for layer in trunk.layers if layer.name not in plan.values()]
    biases = {layer.name: layer.output_shape[-1] for layer in kept if layer.name in plan and not layer.use_bias}  # which folding adds
    return {layer.name: int(layer.count_params() + biases.get(layer.name, 0)) for layer in kept}


def fold_in_place(model: keras.Model) -> None:
    """Merge each batch normalisation of the plan into its convolution and leave it adding: the same function, without statistics.

    So the weights of nets whose statistics differ can be compared and averaged; `encoders.folded.unfold` gives statistics back.
    """
    for conv, bn in ((model.get_layer(conv), model.get_layer(bn)) for conv, bn in fold_plan(model).items()):
        kernels, bias = _merged(conv, bn)
        zero = np.zeros_like(bias)
        conv.set_weights([*kernels, zero] if conv.use_bias else kernels)
        bn.set_weights([zero + np.sqrt(1 + bn.epsilon), bias, zero, zero + 1])


def _fold(graph: Graph, model: keras.Model) -> None:
    """Drop what only training needs and merge each batch normalisation of the plan into its convolution."""
    for step in graph.find(DROPPED):
        graph.replace(step)
    for conv, bn in fold_plan(model).items():
        step = graph.steps[conv]
        kernels, bias = _merged(model.get_layer(conv), model.get_layer(bn))
        step.layer, _ = copy_layer(step.layer, use_bias=True)
        step.weights = [*kernels, bias]
        graph.replace(graph.steps[bn])


def _takes_bn(layer: keras.layers.Layer) -> bool:
    channels_last = getattr(layer, "data_format", "") == "channels_last"
    return isinstance(layer, CONVS) and channels_last and layer.activation is keras.activations.linear


def _is_channel_bn(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and list(layer.axis) == [3]


def _merged(conv: keras.layers.Layer, bn: keras.layers.Layer) -> tuple[list[Any], Array]:
    """The kernels and the bias (C,) of bn(conv(x)) as one convolution."""
    scale, shift = _affine(bn)
    kernels = conv.get_weights()
    bias = kernels.pop() if conv.use_bias else 0.0
    kernels[-1] = _scale_kernel(conv, kernels[-1], scale)
    return kernels, bias * scale + shift


def _affine(bn: keras.layers.Layer) -> tuple[Array, Array]:
    """Scale and shift (C,) of a batch normalisation in inference; float64, so that folding itself costs no accuracy."""
    mean, variance = np.asarray(bn.moving_mean, np.float64), np.asarray(bn.moving_variance, np.float64)
    gamma = np.ones_like(mean) if bn.gamma is None else np.asarray(bn.gamma, np.float64)
    beta = np.zeros_like(mean) if bn.beta is None else np.asarray(bn.beta, np.float64)
    scale = gamma / np.sqrt(variance + bn.epsilon)
    return scale, beta - mean * scale


def _scale_kernel(conv: keras.layers.Layer, kernel: npt.NDArray[np.float32], scale: Array) -> Array:
    """`kernel` with each output channel multiplied by its scale; where the output channels stand differs by kind."""
    if isinstance(conv, keras.layers.DepthwiseConv2D):
        return kernel * scale.reshape(kernel.shape[2:])  # h,w,in,multiplier: output channel = in * multiplier + m
    if isinstance(conv, keras.layers.Conv2DTranspose):
        return kernel * scale[:, None]  # h,w,out,in
    return kernel * scale  # h,w,in,out; of a separable convolution the pointwise kernel
