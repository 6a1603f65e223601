"""Cross-layer equalisation (Nagel 2019, arXiv:1906.04721, section 4.1) of a float .tflite file.

Channel i of what one convolution gives to the next is divided by s_i, and the next one's weights for it are multiplied by s_i. The
function stays the same, because a ReLU keeps positive factors; but weights of one size on both sides are spread evenly over their steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.quantization.post_training.tflite_graph import Float32, TFLiteGraph

OUTPUT_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
INPUT_AXIS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 3}
BY_CHANNEL = ("MAX_POOL_2D", "AVERAGE_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
"""Operators that keep factors by channel, so that a pair may have them between its two convolutions."""
HOMOGENEOUS = ("NONE", "RELU")
"""Activations that keep positive factors. RELU6 does not: its 6 would become another number for each channel."""
SWEEPS = 20
SETTLED = 1e-3
"""A sweep that changes no factor by more than this share is the last."""
DEAD = 1e-6
"""A channel whose weights are below this share of the largest is left alone: there is nothing to even out."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two convolutions in a row, the second the only one that takes what the first gives."""

    first: Any
    second: Any


@dataclass(frozen=True, kw_only=True)
class Equalised:
    """A file after equalisation."""

    content: bytes
    pairs: int
    """Evened out."""
    bounded: int
    """Left alone, because a RELU6 (or another activation that does not keep factors) lies between them."""


def equalise(content: bytes) -> Equalised:
    """Even out the weights of all pairs of convolutions, over and over until nothing changes; a chain of three is two pairs."""
    flat = TFLiteGraph(content)
    found = list(_pairs(flat))
    pairs = [pair for pair, bounded in found if not bounded]
    for _ in range(SWEEPS):
        changes = [_even(flat, pair) for pair in pairs]
        if max(changes, default=0.0) < SETTLED:
            break
    return Equalised(content=flat.content(), pairs=len(pairs), bounded=len(found) - len(pairs))


def spans(weights: Float32, axis: int) -> npt.NDArray[np.float64]:
    """(C,), the largest |weight| of each channel along `axis`."""
    others = tuple(other for other in range(weights.ndim) if other != axis)
    return np.asarray(np.abs(weights).max(others), np.float64)


def bias_position(flat: TFLiteGraph, operator: Any) -> int:
    """Which input of a convolution is its bias; 0 for none."""
    position = 3 if flat.kind(operator) == "TRANSPOSE_CONV" else 2
    return position if len(operator.inputs) > position and flat.is_constant(operator.inputs[position]) else 0


def _pairs(flat: TFLiteGraph) -> Iterator[tuple[Pair, bool]]:
    """Each pair, and whether an activation between its two convolutions does not keep factors."""
    for first in flat.graph.operators:
        if flat.kind(first) not in OUTPUT_AXIS or not flat.is_constant(first.inputs[1]):
            continue
        second, bounded = _follow(flat, first)
        if second is not None and _fit(flat, first, second):
            yield Pair(first=first, second=second), bounded


def _follow(flat: TFLiteGraph, operator: Any) -> tuple[Any | None, bool]:
    """The one convolution that takes what `operator` gives, seen through operators that keep factors by channel."""
    bounded = flat.fused(operator) not in HOMOGENEOUS
    takers = flat.consumers(operator.outputs[0])
    if len(takers) != 1 or operator.outputs[0] in flat.graph.outputs:
        return None, bounded
    if flat.kind(takers[0]) in INPUT_AXIS:
        return takers[0], bounded
    if flat.kind(takers[0]) not in BY_CHANNEL:
        return None, bounded
    second, later = _follow(flat, takers[0])
    return second, bounded or later


def _fit(flat: TFLiteGraph, first: Any, second: Any) -> bool:
    """Whether the weights of `second` have one slice for each channel of `first` (grouped convolutions have not)."""
    weights = second.inputs[1]
    return flat.is_constant(weights) and flat.shape(weights)[INPUT_AXIS[flat.kind(second)]] == flat.shape(first.outputs[0])[-1]


def _even(flat: TFLiteGraph, pair: Pair) -> float:
    """Divide and multiply by s = sqrt(r1 / r2), r1 and r2 the largest |weight| of the channel on either side; the largest |log s|."""
    out, into = OUTPUT_AXIS[flat.kind(pair.first)], INPUT_AXIS[flat.kind(pair.second)]
    before, after = flat.values(pair.first.inputs[1]), flat.values(pair.second.inputs[1])
    r1, r2 = spans(before, out), spans(after, into)
    alive = (r1 > DEAD * r1.max()) & (r2 > DEAD * r2.max())
    s = np.sqrt(np.where(alive, r1, 1) / np.where(alive, r2, 1))
    flat.set_constant(pair.first, 1, before / _along(s, before.ndim, out))
    flat.set_constant(pair.second, 1, after * _along(s, after.ndim, into))
    position = bias_position(flat, pair.first)
    if position:
        flat.set_constant(pair.first, position, (flat.values(pair.first.inputs[position]) / s).astype(np.float32))
    return float(np.abs(np.log(s)).max())


def _along(values: npt.NDArray[np.float64], dimensions: int, axis: int) -> Float32:
    """`values` shaped to lie along one axis."""
    return values.reshape([-1 if number == axis else 1 for number in range(dimensions)]).astype(np.float32)
