"""Rounding of a float .tflite file's weights by GPTQ (Frantar 2022, arXiv:2210.17323).

Weights are rounded one input after the other, and those still to come make up for the error as far as the calibration pictures allow it:
where two pixels or channels say much the same, errors of their weights cancel. What is left on average comes off the bias (bias correction,
Nagel 2019, arXiv:1906.04721, section 4.2).
"""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from portraitseg.quantization.post_training.statistics import open_preserving
from portraitseg.quantization.post_training.tflite_graph import OUTPUT_AXIS, Array, Float32, Float64, TFLiteGraph

LARGEST = 127
"""Of int8 weights: symmetric, without -128."""
PIXELS = 512
"""Of each picture, drawn at random, that a layer's moments are taken over."""
WIDEST = 1152
"""A kernel with more inputs (128 channels, 3 x 3) is rounded tap by tap, each for itself."""
SAME = 0
"""Padding, by the schema's number."""
DAMPING = 0.01
"""Share of the mean second moment that is added to each, as in the paper."""


def fit(content: bytes, pictures: Iterable[Float32], *, leave: Collection[str] = ()) -> bytes:
    """Round the weights of all convolutions to what int8 holds, and correct their biases.

    Args:
        content: a float .tflite file with one input.
        pictures: the calibration set, inputs (1,h,w,C).
        leave: names of tensors; the layers that give them stay as they are.

    Returns:
        The float file, whose weights int8 changes no further.
    """
    flat, interpreter, rng = TFLiteGraph(content), open_preserving(content), np.random.default_rng(0)
    layers = [_Layer(flat, operator) for operator in flat.convolutions() if flat.name(operator.outputs[0]) not in leave]
    for x in pictures:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        for layer in layers:
            layer.see(interpreter.get_tensor(layer.source), rng)
    for layer in layers:
        layer.round()
    return flat.content()


def gptq(weights: Float64, moments: Float64) -> Float64:
    """Round rows of weights, each so that the squared error of what it gives is small.

    Args:
        weights: (G,O,K), in steps of their row, of which the largest has 127 and keeps it. G groups have inputs of their own.
        moments: (G,K,K), of the K inputs: E[x x'].

    Returns:
        (G,O,K), whole numbers from -127 to 127.
    """
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), 1)  # the strongest first, so that the weakest bear what is left
    weights = np.take_along_axis(weights, order[:, None], 2)
    moments = np.take_along_axis(np.take_along_axis(moments, order[:, None], 2), order[:, :, None], 1)
    size = moments.shape[-1]
    typical = np.maximum(np.trace(moments, axis1=1, axis2=2) / size, np.finfo(np.float32).tiny)[:, None, None]
    inverse = np.linalg.inv(moments / typical + DAMPING * np.eye(size))
    upper = np.linalg.cholesky(inverse).transpose(0, 2, 1)
    largest, left, rounded = np.abs(weights) > LARGEST - 1e-3, weights.copy(), np.empty_like(weights)
    for k in range(size):
        wanted = np.where(largest[..., k], weights[..., k], left[..., k])
        rounded[..., k] = np.clip(np.round(wanted), -LARGEST, LARGEST)
        error = (left[..., k] - rounded[..., k]) / upper[:, k, k, None]
        left[..., k + 1 :] -= error[..., None] * upper[:, None, k, k + 1 :]
    return np.take_along_axis(rounded, np.argsort(order, 1)[:, None], 2)


class _Layer:
    """A convolution as a matrix: G groups of O outputs, each a weighted sum of the K inputs of its group."""

    def __init__(self, flat: TFLiteGraph, operator: Any) -> None:
        self.flat, self.operator, self.kind, self.source = flat, operator, flat.kind(operator), flat.source(operator)
        self.weights, self.channels = flat.values(operator.inputs[1]), flat.shape(self.source)[-1]
        self.groups = self.channels // self.weights.shape[3]
        too_wide = self.groups == 1 and self.weights[0].size > WIDEST
        self.by_tap = self.kind == "TRANSPOSE_CONV" or (self.kind == "CONV_2D" and too_wide)
        self.count, self.origin, self.sums, self.products = 0, np.zeros(()), np.zeros(()), np.zeros(())

    def see(self, x: Float32, rng: np.random.Generator) -> None:
        """Add a picture's (1,h,w,C) to the moments."""
        inputs = self._inputs(x, rng)
        self.origin = self.origin if self.count else inputs.mean(1)  # the first picture's means: single precision is enough about them
        inputs = inputs - self.origin[:, None]
        self.count += inputs.shape[1]
        self.sums = self.sums + inputs.sum(1, dtype=np.float64)
        self.products = self.products + (inputs.transpose(0, 2, 1) @ inputs)

    def round(self) -> None:
        """Write the rounded weights, and the bias that goes with them."""
        offsets, position = self.sums / self.count, self.flat.bias_position(self.operator)
        means, moments = self.origin + offsets, self.products / self.count - _squared(offsets)
        if not position:  # which takes the mean error off
            moments = moments + _squared(means)
        steps = _steps(self.weights, OUTPUT_AXIS[self.kind])
        whole = np.empty(self.weights.size)
        whole[self._split(np.arange(whole.size).reshape(self.weights.shape))] = gptq(self._split(self.weights / steps), moments)
        rounded = whole.reshape(self.weights.shape) * steps
        if position:
            errors = self._split(rounded - self.weights)
            bias = self.flat.values(self.operator.inputs[position]) - self._given(errors @ means[:, :, None])
            self.flat.set_constant(self.operator, position, bias.astype(np.float32))
        self.flat.set_constant(self.operator, 1, rounded.astype(np.float32))

    def _inputs(self, x: Float32, rng: np.random.Generator) -> Float32:
        """(G,n,K), at n pixels; taps by themselves all take the same (1,n,K)."""
        if self.by_tap:
            return _drawn(x.reshape(-1, self.channels), rng)[None]
        seen = windows(x[0], self.weights.shape[1:3], self.operator.builtinOptions, rng)
        groups = self.channels if self.kind == "DEPTHWISE_CONV_2D" else self.groups
        return seen.reshape(*seen.shape[:2], groups, -1).transpose(2, 0, 1, 3).reshape(groups, len(seen), -1)

    def _split(self, values: Array) -> Array:
        """Values shaped like the weights, as (G,O,K); of taps by themselves each is a group."""
        outputs, height, width, depth = values.shape
        if self.kind == "DEPTHWISE_CONV_2D":
            return values.reshape(height * width, self.channels, -1).transpose(1, 2, 0)
        if self.by_tap:
            return values.reshape(outputs, height * width, depth).transpose(1, 0, 2)
        return values.reshape(self.groups, outputs // self.groups, -1)

    def _given(self, sums: Float64) -> Float64:
        """(G,O,1), what groups give, as one value for each output channel; a transposed convolution's pixel meets one tap in `stride`."""
        if not self.by_tap:
            return sums.ravel()
        options = self.operator.builtinOptions
        return np.asarray(sums.sum((0, 2)) / (options.strideH * options.strideW if self.kind == "TRANSPOSE_CONV" else 1))


def _squared(means: Float64) -> Float64:
    """(G,K,K) of (G,K)."""
    return means[:, :, None] * means[:, None]


def _steps(weights: Float32, axis: int) -> Float64:
    """Of int8, for each channel along `axis`, shaped to divide the weights."""
    spans = np.abs(weights).max(tuple(other for other in range(weights.ndim) if other != axis), keepdims=True)
    return np.asarray(np.maximum(spans.astype(np.float64) / LARGEST, np.finfo(np.float32).tiny))


def _drawn(rows: Array, rng: np.random.Generator) -> Array:
    return rows if len(rows) <= PIXELS else rows[rng.choice(len(rows), PIXELS, replace=False)]


def windows(x: Float32, kernel: tuple[int, ...], options: Any, rng: np.random.Generator) -> Float32:
    """(n,h w,C), what up to PIXELS output pixels of a convolution see of (H,W,C)."""
    strides = options.strideH, options.strideW
    reaches = [(side - 1) * factor + 1 for side, factor in zip(kernel, (options.dilationHFactor, options.dilationWFactor), strict=True)]
    ends = [
        max((-(-side // stride) - 1) * stride + reach - side, 0) if options.padding == SAME else 0
        for side, stride, reach in zip(x.shape, strides, reaches, strict=False)
    ]
    padded = np.pad(x, [*((end // 2, end - end // 2) for end in ends), (0, 0)])
    tops, lefts = (np.arange(0, side - reach + 1, stride) for side, reach, stride in zip(padded.shape, reaches, strides, strict=False))
    pixels = _drawn(np.stack(np.meshgrid(tops, lefts, indexing="ij"), -1).reshape(-1, 2), rng)
    rows = pixels[:, :1] + np.arange(0, reaches[0], options.dilationHFactor)
    columns = pixels[:, 1:] + np.arange(0, reaches[1], options.dilationWFactor)
    return np.asarray(padded[rows[:, :, None], columns[:, None]].reshape(len(pixels), -1, x.shape[-1]))
