"""Cross-layer equalisation of a float .tflite file, by the noise that rounding adds.

Channel i of what convolutions give to others is divided by s_i, and the others' weights for it are multiplied by s_i. The function stays
the same, since ReLU, ADD and what works channel by channel keep positive factors (Nagel 2019, arXiv:1906.04721, section 4.1), and so do a
concatenation and a product with a gate. A tensor has one step for all its channels: one that reaches a tenth as far as the farthest keeps
25 of the 255. Multiplied up, it takes them from the weights, whose step is that of their row. So s_i = p_i^a / w_i^b, of the channel's
largest value p and weight w, as in SmoothQuant (Xiao 2022, arXiv:2211.10438), with the a and b that add least noise, of the tensor and of
the weights together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.quantization.post_training.statistics import Statistics
from portraitseg.quantization.post_training.tflite_graph import OUTPUT_AXIS, Float64, TFLiteGraph

Numbers = npt.NDArray[np.int64]

ONE_SCALE = ("CONCATENATION", "DEPTH_TO_SPACE", "PAD", "STRIDED_SLICE", "MAX_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
"""Operators that keep factors by channel, and have one step for what they take and what they give."""
OWN_SCALES = ("ADD", "MUL", "MEAN", "AVERAGE_POOL_2D")
"""Others that keep factors."""
HOMOGENEOUS = ("NONE", "RELU")
"""Activations that keep positive factors. RELU6 does not: its 6 would become another number for each channel."""
POWERS_OF_PEAKS, POWERS_OF_WEIGHTS = np.linspace(0, 1, 21), (0.0, 0.25, 0.5, 0.75, 1.0)
"""That are tried; 0 and 0 leave everything as it is."""
WEAKEST = 1 / 64
"""A channel that reaches less far than this share of the farthest is taken to reach so far: one without values has no factor."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tensors that convolutions give and take, and between them what keeps factors."""

    channels: dict[int, Numbers]
    """Tensor -> (C,), the number of each channel's factor: channels that pass into each other have one."""
    one_scale: dict[int, list[int]]
    """Tensor -> the tensors that share its step."""
    givers: list[Any]
    takers: list[Any]

    @property
    def size(self) -> int:
        """Number of factors."""
        return 1 + max(int(numbers.max()) for numbers in self.channels.values())


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
    free = [group for group, bound in found if not bound]
    factors: dict[int, Float64] = {}
    for group in free:
        made = _factors(flat, group, statistics)
        factors |= {index: made[numbers] for index, numbers in group.channels.items()}
    for operator in flat.convolutions():
        _scale(flat, operator, factors)
    return Equalised(content=flat.content(), groups=len(free), bounded=len(found) - len(free))


def like(content: bytes, quantized: bytes) -> bytes:
    """A float file with the factors that its equalised int8 file has, so that their tensors can be compared.

    They are read off the weights, row by row, and so are exact to the rounding of those: about a part in a thousand.

    Args:
        content: the float file, not equalised.
        quantized: made from it.
    """
    flat, other = TFLiteGraph(content), TFLiteGraph(quantized)
    rows = {other.name(operator.outputs[0]): operator for operator in other.graph.operators if other.kind(operator) in OUTPUT_AXIS}
    known: dict[int, tuple[Float64, Numbers]] = {}
    for group in [group for group, bound in _groups(flat) if not bound]:
        factors = np.full(group.size, np.nan)
        known |= {index: (factors, numbers) for index, numbers in group.channels.items()}
    for operator in flat.convolutions():  # in the order in which they run, so that the factors of what they take are known
        source, result = flat.source(operator), int(operator.outputs[0])
        if source in known:
            factors, numbers = known[source]
            _scale(flat, operator, {source: np.nan_to_num(factors[numbers], nan=1.0)})
        if result in known and flat.name(result) in rows:
            factors, numbers = known[result]
            fitted = _fit(flat, operator, other, rows[flat.name(result)])
            factors[numbers] = np.where(np.isnan(factors[numbers]), fitted, factors[numbers])
            _scale(flat, operator, {result: factors[numbers]})
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
    convolutions, activations = flat.convolutions(), flat.activations()
    widths = [flat.shape(index)[-1] if flat.shape(index) else 1 for index in activations]
    ends = dict(zip(activations, np.cumsum(widths), strict=True))
    own = {index: np.arange(ends[index] - width, ends[index]) for index, width in zip(activations, widths, strict=True)}
    passed: list[tuple[Numbers, Numbers]] = []
    tensors: list[tuple[int, int]] = []
    scales: list[tuple[int, int]] = []
    bound = {*map(int, flat.graph.inputs), *map(int, flat.graph.outputs)}
    for operator in flat.graph.operators:
        result = int(operator.outputs[0])
        if operator in convolutions:
            source = flat.source(operator)
            bound |= {result} if flat.fused(operator) not in HOMOGENEOUS or flat.shape(result)[1:3] == (1, 1) else set()
            bound |= {source} if flat.shape(operator.inputs[1])[3] != flat.shape(source)[-1] else set()  # grouped, or several for a channel
        elif passes := _passes(flat, operator, bound):
            passed += [(own[source][before], own[result][after]) for source, before, after in passes]
            tensors += [(source, result) for source, _, _ in passes]
            scales += tensors[-len(passes) :] if flat.kind(operator) in ONE_SCALE else []
        else:
            bound |= {int(index) for index in (*operator.inputs, *operator.outputs) if index in own}
    factors = _joined(sum(widths), [pair for before, after in passed for pair in zip(before, after, strict=True)])
    members, sharing = (_joined(len(flat.graph.tensors), pairs) for pairs in (tensors, scales))
    for number in dict.fromkeys(members[index] for index in activations):
        inside = [index for index in activations if members[index] == number]
        givers = [operator for operator in convolutions if operator.outputs[0] in inside]
        takers = [operator for operator in convolutions if flat.source(operator) in inside]
        if givers and takers:
            used = np.unique(np.concatenate([factors[own[index]] for index in inside]))
            channels = {index: np.searchsorted(used, factors[own[index]]) for index in inside}
            one_scale = {index: [other for other in inside if sharing[other] == sharing[index]] for index in inside}
            yield Group(channels=channels, one_scale=one_scale, givers=givers, takers=takers), bool(bound.intersection(inside))


def _passes(flat: TFLiteGraph, operator: Any, bound: set[int]) -> list[tuple[int, Numbers, Numbers]]:
    """What keeps its factors through an operator that is no convolution: a tensor, its channels, and those of the result; or nothing."""
    kind, result, constant = flat.kind(operator), int(operator.outputs[0]), any(flat.is_constant(index) for index in operator.inputs)
    if kind not in (*ONE_SCALE, *OWN_SCALES) or flat.fused(operator) not in HOMOGENEOUS or constant:
        return []
    activations = set(flat.activations())
    sources = [int(index) for index in operator.inputs if index in activations]
    if kind == "MUL":  # has the factors of what is weighed by a gate without
        sources = [index for index in sources if index not in bound]
        if len(sources) != 1 or len(operator.inputs) != 2:
            return []
    widths = [flat.shape(index)[-1] for index in sources]
    dimensions, width = len(flat.shape(result)), flat.shape(result)[-1]
    if any(len(flat.shape(index)) != dimensions for index in sources):
        return []
    if kind == "DEPTH_TO_SPACE":
        return [(sources[0], np.arange(widths[0]), np.arange(widths[0]) % width)]
    if kind == "CONCATENATION" and operator.builtinOptions.axis in (-1, dimensions - 1):
        starts = np.cumsum([0, *widths])
        return [(source, np.arange(one), start + np.arange(one)) for source, one, start in zip(sources, widths, starts, strict=False)]
    return [(source, np.arange(width), np.arange(width)) for source in sources] if set(widths) == {width} else []


def _joined(count: int, pairs: list[tuple[int, int]]) -> Numbers:
    """(count,), of each number the least of all that pairs join it with."""
    least = np.arange(count)
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    while True:
        before = least.copy()
        lower = np.minimum(least[first], least[second])
        np.minimum.at(least, first, lower)
        np.minimum.at(least, second, lower)
        least = least[least]
        if np.array_equal(least, before):
            return least


def _factors(flat: TFLiteGraph, group: Group, statistics: Mapping[int, Statistics]) -> Float64:
    """(N,), by which the group's channels are divided; 1 for one that is always 0, and the geometric mean of the others is 1."""
    peaks, heaviest, lives = np.zeros(group.size), np.zeros(group.size), np.zeros(group.size, bool)
    for index, numbers in group.channels.items():
        np.maximum.at(peaks, numbers, statistics[index].peaks)
    for taker in group.takers:
        np.maximum.at(heaviest, group.channels[flat.source(taker)], np.abs(flat.values(taker.inputs[1])).max((0, 1, 2)))
    for giver in group.givers:
        lives[group.channels[int(giver.outputs[0])]] |= _rows(flat, giver).any(1)
    peaks, heaviest = _raised(peaks), _raised(heaviest)
    takers = [_Taker(flat, operator, group, statistics) for operator in group.takers]
    tried = (peaks**a / heaviest**b for a, b in product(POWERS_OF_PEAKS, POWERS_OF_WEIGHTS))
    best = min(tried, key=lambda factors: sum(taker.noise(factors) for taker in takers))
    return np.where(lives, best / np.exp(np.log(best).mean(where=lives)), 1)


def _raised(values: Float64) -> Float64:
    return np.maximum(values, max(WEAKEST * float(values.max()), float(np.finfo(np.float32).tiny))).astype(np.float64)


class _Taker:
    """A convolution, as to the noise in what it gives, relative to the power of that."""

    def __init__(self, flat: TFLiteGraph, operator: Any, group: Group, statistics: Mapping[int, Statistics]) -> None:
        weights, source = flat.values(operator.inputs[1]).astype(np.float64), flat.source(operator)
        self.numbers, self.powers = group.channels[source], statistics[source].powers
        self.peaks = np.zeros(group.size)  # of all that have one step with what it takes
        for index in group.one_scale[source]:
            np.maximum.at(self.peaks, group.channels[index], statistics[index].peaks)
        self.power = max(float(statistics[int(operator.outputs[0])].powers.sum()), float(np.finfo(np.float32).tiny))
        self.gains = np.square(weights).sum((0, 1, 2))  # (C,), from noise of a channel to noise of all outputs
        self.mixes = flat.kind(operator) != "DEPTHWISE_CONV_2D"  # a depthwise row has one channel: its step goes with the factor
        self.weights, self.taps = np.abs(weights).max((1, 2)), weights.shape[1] * weights.shape[2]

    def noise(self, factors: Float64) -> float:
        """With the group's channels divided by (N,): of the tensor's rounding and, where a row's channels share a step, of the weights'."""
        step, own = (self.peaks / factors).max() / 255, factors[self.numbers]
        of_tensor = _variance(step) * (np.square(own) * self.gains).sum()
        rows = _variance((self.weights * own).max(1) / 127) if self.mixes else np.zeros(1)
        return float(of_tensor + rows.sum() * self.taps * (self.powers / np.square(own)).sum()) / self.power


def _variance(step: Float64) -> Float64:
    """Of rounding to whole steps."""
    return np.square(step) / 12


def _scale(flat: TFLiteGraph, operator: Any, factors: Mapping[int, Float64]) -> None:
    """Multiply a convolution's weights by the factors of what it takes, and divide them and the bias by those of what it gives."""
    weights, position = flat.values(operator.inputs[1]).astype(np.float64), flat.bias_position(operator)
    taken, given = factors.get(flat.source(operator)), factors.get(int(operator.outputs[0]))
    if taken is not None:
        weights = weights * taken
    if given is not None:
        along = [-1 if axis == OUTPUT_AXIS[flat.kind(operator)] else 1 for axis in range(weights.ndim)]
        weights = weights / given.reshape(along)
        if position:
            flat.set_constant(operator, position, (flat.values(operator.inputs[position]) / given).astype(np.float32))
    if taken is not None or given is not None:
        flat.set_constant(operator, 1, weights.astype(np.float32))
