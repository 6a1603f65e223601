"""Concatenations whose branches reach equally far: all that is concatenated shares one int8 scale.

Of a U-net's skip and decoder the one may reach thirty times as far as the other, which is then left with eight steps of the 256. Where a
branch is made by a convolution of its own it is multiplied by a factor, and the weights that take it are divided by it, as in cross-layer
equalisation (Nagel 2019, arXiv:1906.04721, section 4.1); the net computes the same. The factor is the root of how much farther the
others reach: the whole of it would leave the weights beside one another as uneven as the branches were.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.quantization.observe import observe
from portraitseg.quantization.post_training.thresholds import choose
from portraitseg.rewrite.factors import KEEPING, is_linear
from portraitseg.rewrite.graph import Graph, Step
from portraitseg.rewrite.int8_graph import is_relu
from portraitseg.rewrite.subpixel import DepthToSpace

WORTH = 1.2
"""A factor below this changes less than rounding does."""


@dataclass(frozen=True, kw_only=True)
class _Branch:
    """What convolutions alone make for a concatenation."""

    source: str
    """The step that the concatenation takes."""
    makers: list[Step]
    """One, or one for each phase of a transposed convolution (`subpixel`)."""
    takers: list[Step]
    """The convolutions that take the concatenation."""
    channels: slice
    """Of what they take."""


def factors(model: keras.Model, pictures: CalibrationSet) -> dict[str, float]:
    """By how much the branches should be multiplied, by their convolutions' names; none where there is nothing to gain.

    Args:
        model: a deploy graph.
        pictures: that the reaches are measured on.
    """
    graph = Graph(model)
    joins = [(step, list(_branches(graph, step))) for step in _joins(graph)]
    joins = [(step, branches) for step, branches in joins if branches]
    names = sorted({source for step, _ in joins for source in step.inputs})
    reach = {
        name: max(map(abs, choose("percentile", seen))) for name, seen in observe(graph, {name: [name] for name in names}, pictures).items()
    }
    found = {}
    for step, branches in joins:
        farthest = max(reach[source] for source in step.inputs)
        for branch in branches:
            factor = float(np.sqrt(farthest / reach[branch.source])) if reach[branch.source] else 1.0
            if factor > WORTH:
                found.update({maker.name: factor for maker in branch.makers})
    return found


def balanced(model: keras.Model, by: Mapping[str, float]) -> keras.Model:
    """The same function with each branch multiplied by its factor of `factors`, and the weights that take it divided by it."""
    graph = Graph(model)
    for step in _joins(graph):
        for branch in _branches(graph, step):
            factor = np.float32(by.get(branch.makers[0].name, 1.0))
            for maker in branch.makers:
                maker.weights = [weight * factor for weight in maker.weights]
            for taker in branch.takers:
                kernel, *bias = (np.array(weight) for weight in taker.weights)
                axis = 3 if isinstance(taker.layer, layers.Conv2DTranspose) else 2
                np.moveaxis(kernel, axis, 0)[branch.channels] /= factor
                taker.weights = [kernel, *bias]
    return graph.build()


def _joins(graph: Graph) -> Iterator[Step]:
    """Concatenations of channels."""
    return graph.find(layers.Concatenate, lambda step: step.layer.axis in (3, -1))


def _branches(graph: Graph, join: Step) -> Iterator[_Branch]:
    takers = list(_takers(graph, join.name))
    if not takers or not all(_is_convolution(taker) and graph.alone(taker) for taker in takers):
        return
    start = 0
    for source in join.inputs:
        width = graph.shapes[source][-1]
        makers = _makers(graph, source, join)
        if makers and join.inputs.count(source) == 1:
            yield _Branch(source=source, makers=makers, takers=takers, channels=slice(start, start + width))
        start += width


def _takers(graph: Graph, name: str) -> Iterator[Step]:
    """Who takes what `name` gives, seen through layers that keep factors."""
    if name == graph.output:
        yield graph.steps[name]
    for step in graph.consumers(name):
        if isinstance(step.layer, KEEPING):
            yield from _takers(graph, step.name)
        else:
            yield step


def _makers(graph: Graph, source: str, taker: Step) -> list[Step]:
    """The convolutions that `source` comes from, if nobody else takes anything on the way; else none."""
    step = graph.steps[source]
    if not graph.only_for(source, taker):
        return []
    if _is_convolution(step):
        return [step] if graph.alone(step) else []
    relu = is_relu(step) and getattr(step.layer, "max_value", None) is None
    if not relu and not isinstance(step.layer, (*KEEPING, DepthToSpace, layers.Concatenate)):
        return []
    found = [_makers(graph, before, step) for before in step.inputs]
    return [maker for makers in found for maker in makers] if all(found) else []


def _is_convolution(step: Step) -> bool:
    return is_linear(step) and getattr(step.layer, "groups", 1) == 1
