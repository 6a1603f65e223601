"""Bias correction (Nagel 2019, arXiv:1906.04721, section 4.2): what rounded weights shift, on average, is taken off the bias."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.quantization.post_training.equalise import OUTPUT_AXIS, bias_position
from portraitseg.quantization.post_training.statistics import Statistics
from portraitseg.quantization.post_training.tflite_graph import Float32, TFLiteGraph

LARGEST = 127
"""Of int8 weights: symmetric, without -128."""


def correct(content: bytes, statistics: Mapping[int, Statistics]) -> bytes:
    """Correct the biases of all convolutions that have one.

    Args:
        content: a float .tflite file.
        statistics: of its activations over the calibration set, for the mean of what each convolution takes.

    Returns:
        The float file whose int8 form gives, on average, what this one gives.
    """
    flat = TFLiteGraph(content)
    for operator in flat.graph.operators:
        kind = flat.kind(operator)
        position = bias_position(flat, operator) if kind in OUTPUT_AXIS else 0
        source = int(operator.inputs[2 if kind == "TRANSPOSE_CONV" else 0])
        if position and source in statistics and flat.is_constant(operator.inputs[1]):
            weights, bias = flat.values(operator.inputs[1]), flat.values(operator.inputs[position])
            moved = shift(kind, rounded(weights, OUTPUT_AXIS[kind]) - weights, statistics[source].means, _stride(operator))
            flat.set_constant(operator, position, (bias - moved).astype(np.float32))
    return flat.content()


def rounded(weights: Float32, axis: int) -> Float32:
    """The weights as int8 has them: for each output channel 255 steps, symmetric about 0."""
    others = tuple(number for number in range(weights.ndim) if number != axis)
    scale = np.maximum(np.abs(weights).max(others, keepdims=True) / LARGEST, np.finfo(np.float32).tiny)
    return np.asarray(np.round(weights / scale) * scale, np.float32)


def shift(kind: str, errors: Float32, means: npt.NDArray[np.float64], stride: int = 1) -> npt.NDArray[np.float64]:
    """What weight errors add to each output channel on average, the border left out of account.

    Args:
        kind: operator.
        errors: of its weights, (O,h,w,I), or (1,h,w,C) depthwise.
        means: (I,), of the channels that it takes.
        stride: rows times columns; an output pixel of a transposed convolution meets one in so many of the weights.
    """
    if kind == "DEPTHWISE_CONV_2D":
        return np.asarray(errors.sum((0, 1, 2), dtype=np.float64) * np.repeat(means, errors.shape[3] // len(means)))
    summed = errors.sum((1, 2), dtype=np.float64)  # O,I
    if summed.shape[1] == len(means):
        total = summed @ means
    else:  # grouped: each group of outputs has its own inputs
        groups = means.reshape(-1, summed.shape[1])
        total = np.einsum("goi,gi->go", summed.reshape(len(groups), -1, summed.shape[1]), groups).ravel()
    return np.asarray(total / (stride if kind == "TRANSPOSE_CONV" else 1))


def _stride(operator: Any) -> int:
    return int(operator.builtinOptions.strideH * operator.builtinOptions.strideW)
