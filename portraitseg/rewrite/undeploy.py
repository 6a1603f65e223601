"""From the weights of a deploy graph, as an exported file holds them, back to those of the training graph.

Folding and rewriting (`deploy`, `simplify`, `subpixel`) move weights, repeat them and lay constants beside them. What became of which is
found by sending numbers through in the weights' place: no rule needs an inverse of its own.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs
from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.rewrite.deploy import deploy_graph, fold_plan
from portraitseg.rewrite.graph import Graph

Array = npt.NDArray[np.float32]
Values = npt.NDArray[np.floating]
Weights = dict[str, Array]
"""By layer/kind, such as enc_Conv1/kernel."""

CARRIED = ("kernel", "depthwise_kernel", "bias", "beta", "alpha")
"""Kinds of weights that reach the deploy graph as they are, where batch normalisation does nothing but add."""
NEAR = 1e-3
"""Difference from the file's weights that rounding explains, as a share of the largest of a tensor."""


def undeployed(card: Card, read: Callable[[keras.Model], Weights]) -> keras.Model:
    """The training graph with the weights of an exported file.

    Args:
        card: of the exported file, a float one.
        read: finds the weights of a deploy graph's layers in the file.

    Returns:
        What `archs.build(card)` builds; heads that do not ship are as they start. Batch normalisations add what the file has as biases,
        and have no statistics (see `encoders.folded.unfold`).

    Raises:
        InputError: the file lacks a weight, or the graph was rewritten in a way that mixes weights; and as `read`.
    """
    whole = archs.build(card)
    model = archs.logits_model(whole)
    shifted = {f"{name}/bias" for name in fold_plan(model)}  # the normalisation's beta does what such a bias would
    shapes = {f"{layer.name}/{_kind(weight)}": weight.shape for layer in model.layers for weight in layer.weights}
    slots = {key: shape for key, shape in shapes.items() if key.rpartition("/")[2] in CARRIED and key not in shifted}
    plain = _deployed(model, card, {})
    built = plain.build()
    kinds = {layer.name: [_kind(weight) for weight in layer.weights] for layer in built.layers}
    constants, found = _held(plain, kinds), read(built)
    owners = {key: np.full(shape, float(number)) for number, (key, shape) in enumerate(slots.items(), 1)}
    places = {key: 1 + np.arange(float(np.prod(shape))).reshape(shape) for key, shape in slots.items()}
    traces = [_held(_deployed(model, card, weights), kinds) for weights in (owners, places)]
    sums, counts = ({key: np.zeros(shape) for key, shape in slots.items()} for _ in range(2))
    for key, values in found.items():
        owner, place = (np.rint(traced[key] - constants[key]).astype(np.int64) for traced in traces)
        for number in np.unique(owner[owner > 0]):
            slot, mine = list(slots)[min(number, len(slots)) - 1], owner == number
            index = np.minimum(place[mine], sums[slot].size) - 1  # what is out of bounds is of several weights; found out below
            np.add.at(sums[slot].reshape(-1), index, (values - constants[key])[mine])
            np.add.at(counts[slot].reshape(-1), index, 1)
    weights = {slot: sums[slot] / np.maximum(counts[slot], 1) for slot in slots}
    made = _held(_deployed(model, card, weights), kinds)
    problems = [slot for slot in slots if not counts[slot].all()]
    problems += [key for key, values in found.items() if np.abs(made[key] - values).max() > NEAR * np.abs(values).max()]
    if problems:
        raise InputError(f"the weights of {card.name} cannot be had from its exported form ({problems[0]}); give the checkpoint (.h5)")
    return whole


def _deployed(model: keras.Model, card: Card, weights: Mapping[str, Values]) -> Graph:
    """The deploy graph, if the net has these weights, else 0, and batch normalisations that add and nothing more."""
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(weights.get(f"{layer.name}/{_kind(weight)}", _neutral(layer, weight)))
    return deploy_graph(model, card)


def _held(graph: Graph, kinds: Mapping[str, list[str]]) -> dict[str, Values]:
    """The weights of the layers in `kinds`."""
    steps = [step for step in graph.steps.values() if step.layer.name in kinds]
    return {f"{step.layer.name}/{kind}": value for step in steps for kind, value in zip(kinds[step.layer.name], step.weights, strict=True)}


def _neutral(layer: keras.layers.Layer, weight: tf.Variable) -> Array:
    """Of a weight that is not carried: batch normalisation's scale, mean and variance, or a bias in front of it."""
    value = {"gamma": np.sqrt(1 + getattr(layer, "epsilon", 0)), "moving_variance": 1}.get(_kind(weight), 0)
    return np.full(weight.shape, value, np.float32)


def _kind(weight: tf.Variable) -> str:
    return str(weight.name.rsplit("/", 1)[-1].split(":")[0])
