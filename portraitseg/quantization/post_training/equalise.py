"""Cross-layer equalisation of a float .tflite file, by the noise that rounding adds.

Channel i of what convolutions give to others is divided by s_i, and the others' weights for it are multiplied by s_i. The function stays
the same, since ReLU, ADD and what works channel by channel keep positive factors (Nagel 2019, arXiv:1906.04721, section 4.1), and so does a
product with a gate. A tensor has one step for all its channels: one that reaches a tenth as far as the farthest keeps 25 of the 255.
Multiplied up, it takes them from the weights, whose step is that of their row. So s_i = p_i^a / w_i^b, of the channel's largest value p and
weight w, as in SmoothQuant (Xiao 2022, arXiv:2211.10438), with the a and b that add least noise, of the tensor and of the weights together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from portraitseg.quantization.post_training.statistics import Statistics
from portraitseg.quantization.post_training.tflite_graph import OUTPUT_AXIS, Float64, TFLiteGraph

BY_CHANNEL = ("ADD", "MUL", "MEAN", "PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
"""Operators that keep factors by channel."""
HOMOGENEOUS = ("NONE", "RELU")
"""Activations that keep positive factors. RELU6 does not: its 6 would become another number for each channel."""
POWERS_OF_PEAKS, POWERS_OF_WEIGHTS = np.linspace(0, 1, 21), (0.0, 0.25, 0.5, 0.75, 1.0)
"""That are tried; 0 and 0 leave everything as it is."""
WEAKEST = 1 / 64
"""A channel that reaches less far than this share of the farthest is taken to reach so far: one without values has no factor."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tensors whose channels must have the same factors, with the convolutions that give and take them."""

    tensors: list[int]
    givers: list[Any]
    takers: list[Any]


@dataclass(frozen=True, kw_only=True)
class Equalised:
    """A file after equalisation."""

    content: bytes
    groups: int
    """Of tensors that were evened out."""
    bounded: int
    """Left alone: something between their convolutions does not keep factors."""


def equalise(content: bytes, statistics: Mapping[int, Statistics]) -> Equalised:
    """Even out the channels of all that lies between convolutions.

    Args:
        content: a float .tflite file.
        statistics: of its activations over the calibration set.
    """
    flat = TFLiteGraph(content)
    found = list(_groups(flat))
    factors = [(group, _factors(flat, group, statistics)) for group, bound in found if not bound]
    for group, s in factors:
        _apply(flat, group, s)
    return Equalised(content=flat.content(), groups=len(factors), bounded=len(found) - len(factors))


def like(content: bytes, quantized: bytes) -> bytes:
    """A float file with the factors that its equalised int8 file has, so that their tensors can be compared.

    They are read off the weights, row by row, and so are exact to the rounding of those: about a part in a thousand.

    Args:
        content: the float file, not equalised.
        quantized: made from it.
    """
    flat, other = TFLiteGraph(content), TFLiteGraph(quantized)
    rows = {other.name(operator.outputs[0]): operator for operator in other.graph.operators if other.kind(operator) in OUTPUT_AXIS}
    for group in [group for group, bound in _groups(flat) if not bound]:
        first = group.givers[0]  # what it takes is of an earlier group, so has its factors by now
        if flat.name(first.outputs[0]) in rows:
            _apply(flat, group, _fit(flat, first, other, rows[flat.name(first.outputs[0])]))
    return flat.content()


def _fit(flat: TFLiteGraph, operator: Any, other: TFLiteGraph, quantized: Any) -> Float64:
    """(C,), by which the rows of weights must be divided to be those of the int8 file, by least squares; 1 for one that is 0."""
    rows, wanted = _rows(flat, operator), _rows(other, quantized)
    products = (rows * wanted).sum(1)
    return np.where(products > 0, np.square(rows).sum(1) / np.where(products > 0, products, 1), 1.0)


def _rows(flat: TFLiteGraph, operator: Any) -> Float64:
    """(C,n), the weights of each output channel; of one without weights the bias."""
    weights = np.moveaxis(flat.real(operator.inputs[1]), OUTPUT_AXIS[flat.kind(operator)], 0)
    rows, position = weights.reshape(len(weights), -1).copy(), flat.bias_position(operator)
    if position:
        rows[:, 0] = np.where(rows.any(1), rows[:, 0], flat.real(operator.inputs[position]))
    return rows


def _groups(flat: TFLiteGraph) -> Iterator[tuple[Group, bool]]:
    """Each group, and whether something in it does not keep factors."""
    convolutions, activations = flat.convolutions(), set(flat.activations())
    together: dict[int, set[int]] = {index: {index} for index in activations}
    bound = {*map(int, flat.graph.inputs), *map(int, flat.graph.outputs)}
    for operator in flat.graph.operators:
        result = int(operator.outputs[0])
        tensors = {result, *(int(index) for index in operator.inputs if index in activations)}
        if operator in convolutions:
            source = flat.source(operator)
            bound |= {result} if flat.fused(operator) not in HOMOGENEOUS or flat.shape(result)[1:3] == (1, 1) else set()
            bound |= {source} if flat.shape(operator.inputs[1])[3] != flat.shape(source)[-1] else set()  # grouped, or several for a channel
        elif _keeps_factors(flat, operator, tensors := tensors - _gate(flat, operator, bound)):
            members = set().union(*(together[index] for index in tensors))
            together.update(dict.fromkeys(members, members))
        else:
            bound |= {*tensors, *map(int, operator.outputs)}
    for members in {id(members): members for members in together.values()}.values():
        givers = [operator for operator in convolutions if operator.outputs[0] in members]
        takers = [operator for operator in convolutions if flat.source(operator) in members]
        if givers and takers:
            yield Group(tensors=sorted(members), givers=givers, takers=takers), bool(members & bound)


def _gate(flat: TFLiteGraph, operator: Any, bound: set[int]) -> set[int]:
    """What a product is weighed by, if that has no factors: it has those of the other alone."""
    without = bound & set(map(int, operator.inputs))
    return without if flat.kind(operator) == "MUL" and len(without) == 1 else set()


def _keeps_factors(flat: TFLiteGraph, operator: Any, tensors: set[int]) -> bool:
    kind, constant = flat.kind(operator), any(flat.is_constant(index) for index in operator.inputs)
    axes = {(len(flat.shape(index)), *flat.shape(index)[-1:]) for index in tensors}
    squares = kind == "MUL" and len(tensors) != 2  # what has factors by what has factors
    return kind in BY_CHANNEL and flat.fused(operator) in HOMOGENEOUS and not constant and len(axes) == 1 and not squares


def _factors(flat: TFLiteGraph, group: Group, statistics: Mapping[int, Statistics]) -> Float64:
    """(C,), by which the group's channels are divided; 1 for one that is always 0, and the geometric mean of the others is 1."""
    peaks = _raised(np.max([statistics[index].peaks for index in group.tensors], 0))
    heaviest = _raised(np.max([np.abs(flat.values(operator.inputs[1])).max((0, 1, 2)) for operator in group.takers], 0))
    takers = [_Taker(flat, operator, statistics) for operator in group.takers]
    tried = (peaks**a / heaviest**b for a, b in product(POWERS_OF_PEAKS, POWERS_OF_WEIGHTS))
    best = min(tried, key=lambda factors: sum(taker.noise(factors) for taker in takers))
    lives = _rows(flat, group.givers[0]).any(1)
    return np.where(lives, best / np.exp(np.log(best).mean(where=lives)), 1)


def _raised(values: Float64) -> Float64:
    return np.maximum(values, max(WEAKEST * float(values.max()), float(np.finfo(np.float32).tiny))).astype(np.float64)


class _Taker:
    """A convolution, as to the noise in what it gives, relative to the power of that."""

    def __init__(self, flat: TFLiteGraph, operator: Any, statistics: Mapping[int, Statistics]) -> None:
        weights = flat.values(operator.inputs[1]).astype(np.float64)
        taken = statistics[flat.source(operator)]
        self.peaks, self.powers = taken.peaks, taken.powers
        self.power = max(float(statistics[int(operator.outputs[0])].powers.sum()), float(np.finfo(np.float32).tiny))
        self.gains = np.square(weights).sum((0, 1, 2))  # (C,), from noise of a channel to noise of all outputs
        self.mixes = flat.kind(operator) != "DEPTHWISE_CONV_2D"  # a depthwise row has one channel: its step goes with the factor
        self.weights, self.taps = np.abs(weights).max((1, 2)), weights.shape[1] * weights.shape[2]

    def noise(self, factors: Float64) -> float:
        """With the channels divided by (C,): of the tensor's rounding and, where a row's channels share a step, of the weights'."""
        of_tensor = _variance((self.peaks / factors).max() / 255) * (np.square(factors) * self.gains).sum()
        rows = _variance((self.weights * factors).max(1) / 127) if self.mixes else np.zeros(1)
        return float(of_tensor + rows.sum() * self.taps * (self.powers / np.square(factors)).sum()) / self.power


def _variance(step: Float64) -> Float64:
    """Of rounding to whole steps."""
    return np.square(step) / 12


def _apply(flat: TFLiteGraph, group: Group, factors: Float64) -> None:
    for operator in group.givers:
        weights, position = flat.values(operator.inputs[1]), flat.bias_position(operator)
        along = [-1 if axis == OUTPUT_AXIS[flat.kind(operator)] else 1 for axis in range(weights.ndim)]
        flat.set_constant(operator, 1, (weights / factors.reshape(along)).astype(np.float32))
        if position:
            flat.set_constant(operator, position, (flat.values(operator.inputs[position]) / factors).astype(np.float32))
    for operator in group.takers:
        flat.set_constant(operator, 1, (flat.values(operator.inputs[1]) * factors).astype(np.float32))
