"""Quantization-aware training: the graph that ships, with the rounding of its int8 file in it, as a net that can be trained.

Kernels are rounded as tensorflow-model-optimization does it (`kernels`), tensors by layers of our own (`ranges`), because several may
have to share a range. Every tensor of the file has exactly one, so that nothing is requantized between operations:

| step | its range |
|---|---|
| resize, pooling, padding, cropping, reshaping, concatenation, depth to space, average pooling | one for what it takes and gives |
| ReLU | fused into the step before: their tensor is one; behind a pooling it shares that one's |
| input | that of the picture's bytes |
| sigmoid, tanh | the file format's own |
| any other: convolution, sum, product, mean, scaling | its own |
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs import LOGITS
from portraitseg.card import IMAGENET, Card
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.quantization import balance
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.quantization.kernels import rounded
from portraitseg.quantization.observe import observe
from portraitseg.quantization.post_training.thresholds import choose
from portraitseg.quantization.ranges import PREFIX, Range
from portraitseg.resizing import AlignCorners, BilinearTranspose, DepthwiseConv2DTranspose, bilinear_kernel
from portraitseg.rewrite import deploy
from portraitseg.rewrite.graph import Graph, Step
from portraitseg.rewrite.int8_graph import is_relu, to_int8_graph
from portraitseg.rewrite.int8_input import to_byte_input
from portraitseg.rewrite.subpixel import DepthToSpace
from portraitseg.rewrite.thin_resize import EdgePad

QAT = "qat"
"""`Card.quant` of the checkpoints."""
SAME_VALUES = (
    layers.MaxPooling2D,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.Reshape,
    layers.Concatenate,
    DepthToSpace,
    EdgePad,
)
"""Layers that only choose or move numbers: what was rounded stays so."""
SAME_SCALE = (*SAME_VALUES, layers.UpSampling2D, AlignCorners, layers.AveragePooling2D)
"""Layers that in int8 give what they take in the same scale."""
FORMAT = {keras.activations.sigmoid: (0.0, 255 / 256), keras.activations.tanh: (-1.0, 127 / 128)}
"""Ranges that the file format prescribes (https://ai.google.dev/edge/litert/models/quantization_spec)."""

METHOD = "percentile"
"""How the ranges are chosen that the training starts from: as after it, by default."""

Extremes = tuple[float, float]


def prepare(model: keras.Model, card: Card, source: Source, indices: Sequence[int]) -> tuple[keras.Model, Card]:
    """A trained float net as one that is trained on with the int8 file's rounding.

    Batch normalisation is folded, training-only heads are dropped, and a normalisation that bytes cannot have is moved into the net.

    Args:
        model: as `deploy.to_deploy` takes it.
        card: its card.
        source: pictures.
        indices: those that the ranges start from.

    Returns:
        A model (N,H,W,C) -> logits (N,H,W,classes), and its card, whose input is that of the int8 file.

    Raises:
        InputError: as `to_deploy` and `to_byte_input`; there are no pictures; a tensor would need two ranges.
    """
    net, made = _int8_form(model, card)
    pictures = CalibrationSet(source=source, indices=indices, card=made)
    net = balance.balanced(net, balance.factors(net, pictures))
    graph = _headless(Graph(net))
    spans = {group: choose(METHOD, seen) for group, seen in observe(graph, _groups(graph), pictures).items()}
    how = {"method": QAT, "pictures": len(indices), "normalised": made.input != card.input}
    made = replace(made, output="logits", quant=QAT, metrics={}, calibration=how)
    trained = _trainable(Graph(net), made)
    for name, span in spans.items():
        layer = trained.get_layer(name)
        if not layer.fixed:
            layer.start(span)
    return trained, made


def build(card: Card) -> keras.Model:
    """The net of a checkpoint's card as `prepare` made it, untrained.

    Raises:
        InputError: the card names something that cannot be built.
    """
    return _trainable(Graph(_structure(card)), card)


def to_ship(model: keras.Model, card: Card) -> tuple[keras.Model, Card]:
    """The graph to convert: float weights, and the ranges that were learned as constants; the converter rounds the kernels alike.

    Args:
        model: a net of `prepare` or `build`.
        card: its card.

    Returns:
        A model (1,H,W,C) -> prob (1,H,W,classes), and its card.
    """
    graph = Graph(_structure(card))
    for step in graph.steps.values():
        if step.weights:
            step.weights = [np.asarray(weight) for weight in model.get_layer(step.layer.name).get_weights()]
    prob = graph.steps[graph.output]
    _insert_ranges(_headless(graph), card, {name: model.get_layer(name).span() for name in _groups(graph)})
    end = Step(prob.layer, [graph.output], name=prob.name)
    graph.steps[end.name], graph.output = end, end.name
    return graph.build(), replace(card, output="prob")


def _int8_form(model: keras.Model, card: Card) -> tuple[keras.Model, Card]:
    """The deploy graph as it is converted; fixed enlarging kernels become weights, which can be rounded."""
    net, card = deploy.to_deploy(model, card)
    net, card = to_byte_input(to_int8_graph(net), card)
    graph = Graph(net)
    fixed = list(graph.find(BilinearTranspose))
    for step in fixed:
        factor, channels = step.layer.factor, graph.shapes[step.name][-1]
        kernel = np.repeat(bilinear_kernel(factor)[..., None], channels, axis=-1)
        graph.replace(step, Step(DepthwiseConv2DTranspose(factor, name=step.name), step.inputs, [kernel]))
    return graph.build() if fixed else net, card


def _structure(card: Card) -> keras.Model:
    """The same of an untrained net: which steps there are does not depend on the weights."""
    source = replace(card, input=IMAGENET) if card.calibration.get("normalised") else card
    return _int8_form(archs.build(source), source)[0]


def _headless(graph: Graph) -> Graph:
    """The graph without its last step, the sigmoid."""
    prob = graph.steps.pop(graph.output)
    graph.output = prob.inputs[0]
    return graph


def _trainable(graph: Graph, card: Card) -> keras.Model:
    """A graph with all its rounding, for batches, up to the logits."""
    graph.steps[graph.input].layer = keras.Input((*card.size, card.channels), name=graph.input).node.layer
    _insert_ranges(_headless(graph), card)
    if moved := (card.input.mean[0] - _zero_point(card)) / card.input.std[0]:
        graph.insert(graph.input, Step(layers.Rescaling(1.0, moved, name="image_as_bytes", dtype="float32"), [graph.input]))
    made = {id(step.layer): rounded(step.layer) for step in graph.steps.values()}
    for step in graph.steps.values():
        step.layer = made[id(step.layer)]
    if card.classes == 2:  # what reaches the two sigmoids are the differences of the logits, each the negative of the other
        graph.insert(graph.output, Step(layers.Rescaling(0.5, name="logits_halved", dtype="float32"), [graph.output]))
    graph.insert(graph.output, Step(layers.Activation("linear", name=LOGITS, dtype="float32"), [graph.output]))
    return graph.build()


def _groups(graph: Graph) -> dict[str, list[str]]:
    """Name of a `Range` -> the tensors, by their steps' names, that it rounds; of a graph up to the logits."""
    parents = {name: name for name in graph.steps}

    def root(name: str) -> str:
        return name if parents[name] == name else root(parents[name])

    for step in graph.steps.values():
        if isinstance(step.layer, SAME_SCALE) or is_relu(step):
            for source in step.inputs:
                parents[root(step.name)] = root(source)
    groups: dict[str, list[str]] = {}
    for step in graph.steps.values():
        if not isinstance(step.layer, SAME_VALUES) and not _is_fused(graph, step):
            groups.setdefault(root(step.name), []).append(step.name)
    return {f"{PREFIX}{names[0]}": names for names in groups.values()}


def _is_fused(graph: Graph, step: Step) -> bool:
    """Whether what the step gives exists only within the operation that applies the ReLU behind it, too."""
    takers = graph.consumers(step.name)
    return step.name != graph.output and len(takers) == 1 and is_relu(takers[0])


def _insert_ranges(graph: Graph, card: Card, spans: Mapping[str, Extremes] | None = None) -> None:
    """Put a `Range` behind each step whose tensor is rounded; with `spans` they are constants."""
    for name, tensors in _groups(graph).items():
        fixed = spans[name] if spans else _fixed(graph, tensors, card)
        layer = Range(fixed, name=name, dtype="float32")
        for tensor in tensors:
            graph.insert(tensor, Step(layer, [tensor], name=f"{tensor}_rounded"))


def _fixed(graph: Graph, tensors: list[str], card: Card) -> Extremes | None:
    """The range that is given for one of a group, and so for all."""
    given = [_given(graph.steps[tensor], card) for tensor in tensors]
    found = [span for span in given if span]
    if found and len(tensors) > 1:
        raise InputError(
            f"the tensors {', '.join(tensors)} would share a range, but that of one of them is given; part them by a convolution"
        )
    return found[0] if found else None


def _zero_point(card: Card) -> int:
    """The byte that is 0 in the file, a whole number; what it lacks to the card's mean (127.5 for [-1,1]) moves the input."""
    return math.floor(card.input.mean[0] + 0.5)


def _given(step: Step, card: Card) -> Extremes | None:
    if isinstance(step.layer, layers.InputLayer):
        zero, scale = _zero_point(card), 1 / card.input.std[0]
        return -zero * scale, (255 - zero) * scale
    return FORMAT.get(step.layer.activation) if isinstance(step.layer, layers.Activation) else None
