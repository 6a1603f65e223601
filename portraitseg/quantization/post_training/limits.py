"""What of an activation matters: values that all its takers make the same of count as the nearest that they do not.

A hard swish is 0 below -3, whatever it is given, and a sigmoid hardly differs from 1 above 8. A range that ends there has finer steps, and
the function stays the same: what lies beyond the range becomes its end.
"""

from typing import Any

import numpy as np

from portraitseg.quantization.post_training.tflite_graph import Float32, TFLiteGraph

SATURATED = 8.0
"""From here on a sigmoid is within 0.0004 of 0 or 1: a tenth of an int8 step."""
CLAMPS = {"RELU": np.inf, "RELU6": 6.0}
"""Fused activations that cut off at 0 and here."""

Limits = tuple[float, float]
"""The lowest and the highest value that matters."""
ALL = -np.inf, np.inf


def limits(flat: TFLiteGraph) -> dict[int, Limits]:
    """Of each activation that has any; one that nothing takes has none."""
    found = {}
    for index in flat.activations():
        of_takers = [_limits(flat, taker, index) for taker in flat.consumers(index)]
        if of_takers and index not in flat.graph.outputs:
            found[index] = min(low for low, _ in of_takers), max(high for _, high in of_takers)
    return {index: ends for index, ends in found.items() if ends != ALL}


def within(value: Float32, bounds: Limits | None) -> Float32:
    """An activation's values, those beyond its limits as these."""
    return np.clip(value, *bounds) if bounds else value


def _limits(flat: TFLiteGraph, taker: Any, index: int) -> Limits:
    """What matters to one that takes it."""
    kind = flat.kind(taker)
    if kind == "LOGISTIC":
        return -SATURATED, SATURATED
    if kind == "ADD":
        return _clamped(flat, taker)
    if kind == "MUL":  # where a gate made of it is 0, so is the product
        gates = [maker for maker in flat.graph.operators if maker.outputs[0] in taker.inputs and index in maker.inputs]
        return max((_clamped(flat, gate)[0] for gate in gates if flat.kind(gate) == "ADD"), default=-np.inf), np.inf
    return ALL


def _clamped(flat: TFLiteGraph, addition: Any) -> Limits:
    """Between which values the sum with a constant tells two apart, by the clamp behind it."""
    constants = [flat.values(index) for index in addition.inputs if flat.is_constant(index)]
    if len(constants) != 1 or constants[0].size != 1 or flat.fused(addition) not in CLAMPS:
        return ALL
    constant = float(constants[0].item())
    return -constant, CLAMPS[flat.fused(addition)] - constant
