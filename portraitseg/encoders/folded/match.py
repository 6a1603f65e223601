"""A file's convolutions onto the layers of an encoder or a whole net, by their place in the graph.

A file has no layer names that could be relied on. Each convolution is therefore found by its kind, its shape and the convolutions that
it follows, and where two have all that in common by whether it takes a mean; strides, paddings and activations are our own. What comes
behind is not looked at.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from portraitseg.encoders.folded import onnx, tflite, widths
from portraitseg.encoders.folded.graph import Conv, Float32, Form, Kernel, Operator, kind_of, trace
from portraitseg.errors import InputError
from portraitseg.layers import HardSigmoid

Weights = dict[str, Float32]
READERS: dict[str, Callable[[Path], Iterable[Operator]]] = {".tflite": tflite.operators, ".onnx": onnx.operators}

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
"""Keras derives its transposed one from the first."""

FILLED = (*CONVOLUTIONS, keras.layers.PReLU)
AVERAGES = (keras.layers.GlobalAveragePooling2D, keras.layers.AveragePooling2D)

AHEAD = 8
"""Convolutions of a file that are read before one of them must fit."""

HARD_SIGMOID = np.float32(3)
"""What a hard sigmoid, relu6(x + 3) / 6, adds; TensorFlow Lite's converter merges it into the bias in front."""


def is_folded(weights: str) -> bool:
    """Whether `weights` names a file of this kind."""
    return Path(weights).suffix.lower() in READERS


def read(path: Path, model: keras.Model, *, prefix: str, optional: str = "") -> Weights:
    """The file's convolutions as weights of the layers; biases become the shifts of the batch normalisations.

    Args:
        path: the file.
        model: a flat graph.
        prefix: of the names of the layers to fill, the encoder's; empty: all.
        optional: a convolution that is passed over if the file's next one does not fit it.

    Returns:
        By layer/weight without the prefix, such as Conv1/kernel; nothing for a convolution that was passed over.

    Raises:
        InputError: the file cannot be read or does not fit; the message names the first layer that does not.
    """
    if not path.is_file():
        raise InputError(f"no pretrained weights {path}; give a .tflite or .onnx file")
    found: Weights = {}
    narrow: list[str] = []
    for layer, conv in _pairs(path, model, prefix, optional):
        asked = _asked(layer, conv.kernel)
        kernel = widths.widen(asked, layer.get_weights()[0], first=not conv.number)
        if kernel is not asked:
            narrow.append(f"{layer.name}: {conv.kernel.kind} of {kernel.kind}")
        for target, weights in _weights(layer, kernel).items():
            found |= {f"{target.removeprefix(prefix)}/{kind}": values for kind, values in weights.items()}
    if narrow:
        print(f"notice: {path} has fewer channels in {len(narrow)} layers, the rest starts at random ({narrow[0]}, ...)", file=sys.stderr)
    return found


def _pairs(path: Path, model: keras.Model, prefix: str, optional: str) -> Iterator[tuple[keras.layers.Layer, Conv]]:
    """Each convolution with the file's."""
    convs, waiting = trace(READERS[path.suffix.lower()](path)), list[Conv]()
    if not any(isinstance(layer, keras.layers.PReLU) for layer in model.layers):
        convs = (conv for conv in convs if conv.kernel.form != "slopes")
    after: dict[str, frozenset[int]] = {}  # layer -> the file's convolutions that it comes after
    averaged: set[str] = set()  # layers with a mean between them and those
    for layer in model.layers:
        after[layer.name] = frozenset().union(*(after[source] for source in _sources(layer)))
        if isinstance(layer, AVERAGES) or averaged.intersection(_sources(layer)):
            averaged.add(layer.name)
        if not (layer.name.startswith(prefix) and isinstance(layer, FILLED)):
            continue
        conv = _next(layer, convs, waiting, after[layer.name], layer.name in averaged)
        if layer.name != optional or not conv or _fits(layer, conv):
            yield layer, _checked(path, layer, conv, after, "encoder" if prefix else "net")
            if isinstance(layer, CONVOLUTIONS):
                after[layer.name] = frozenset([conv.number]) if conv else frozenset()
                averaged.discard(layer.name)
        elif conv:
            waiting.insert(0, conv)


def _next(layer: keras.layers.Layer, convs: Iterator[Conv], waiting: list[Conv], after: frozenset[int], averaged: bool) -> Conv | None:
    """The file's first convolution that fits and has the layer's place in the graph, or else the first that is left, for the message.

    Branches side by side may come in another order than ours.

    Args:
        layer: a convolution.
        convs: the file's, as far as they were not read.
        waiting: those that were read and not taken yet; changed.
        after: the file's convolutions that the layer comes after.
        averaged: whether it takes a mean; a file that computes it in a way of its own may hold none that does.
    """
    best = None
    for conv in chain(tuple(waiting), _read_on(convs, waiting)):
        if _fits(layer, conv) and conv.after == after and (best is None or conv.averaged == averaged):
            best = conv
            if conv.averaged == averaged:
                break
    best = best or next(iter(waiting), None)
    if best:
        waiting.remove(best)
    return best


def _read_on(convs: Iterator[Conv], waiting: list[Conv]) -> Iterator[Conv]:
    while len(waiting) < AHEAD and (conv := next(convs, None)):
        waiting.append(conv)
        yield conv


def _checked(path: Path, layer: keras.layers.Layer, conv: Conv | None, after: dict[str, frozenset[int]], part: str) -> Conv:
    """The convolution, if it is the layer's."""
    remedy = f"the file must hold the same {part} at the same --wm"
    if conv is None:
        raise InputError(f"{path} does not fit this {part}: it has no convolution left for {layer.name}; {remedy}")
    problem = ""
    if not _fits(layer, conv):
        problem = f"is {conv.kernel.kind}, {layer.name} needs {_needed(layer)}"
    elif conv.after != after[layer.name]:
        problem = f"follows {_numbers(conv.after)}, {layer.name} needs one that follows {_numbers(after[layer.name])}"
    elif conv.changed:
        problem = f"comes behind {conv.changed}, which scales or shifts each channel: its batch normalisation is not folded"
    elif not (np.isfinite(conv.kernel.values).all() and np.isfinite(conv.kernel.bias).all()):
        problem = "holds NaN or infinity"
    elif conv.kernel.bias.shape != (conv.kernel.channels,):
        problem = f"has a bias of shape {conv.kernel.bias.shape}, needed is ({conv.kernel.channels},)"
    elif conv.kernel.bias.any() and not (layer.use_bias or _norm(layer)):
        problem = f"has a bias, which {layer.name} has no place for"
    if problem:
        raise InputError(f"{path} does not fit this {part}: its convolution {conv.number + 1} ({conv.name}) {problem}; {remedy}")
    return conv


def _weights(layer: keras.layers.Layer, kernel: Kernel) -> dict[str, Weights]:
    """By layer: the convolution's, and a batch normalisation's that, in inference, adds the bias and nothing more (see `unfold`)."""
    if kernel.form == "slopes":
        return {layer.name: {"alpha": kernel.values.reshape(layer.alpha.shape)}}
    own = {"depthwise_kernel" if kernel.form == "depthwise" else "kernel": kernel.values}
    norm, bias = _norm(layer), kernel.bias - (HARD_SIGMOID if kernel.relu6 and _gates(layer) else 0)
    if norm is None:
        return {layer.name: own | ({"bias": bias} if layer.use_bias else {})}
    ones, zeros = np.ones_like(bias), np.zeros_like(bias)
    shift = {"gamma": ones * np.sqrt(1 + norm.epsilon), "beta": bias, "moving_mean": zeros, "moving_variance": ones}
    return {layer.name: own, norm.name: shift}


def _fits(layer: keras.layers.Layer, conv: Conv) -> bool:
    """Whether kind and shape agree, or so nearly that the kernel can be widened."""
    if conv.kernel.form == "slopes" == _form(layer):
        return bool(conv.kernel.values.size == np.prod(layer.alpha.shape))
    kernel = _asked(layer, conv.kernel)
    return kernel.form == _form(layer) and widths.fits(tuple(layer.weights[0].shape), kernel, first=not conv.number)


def _asked(layer: keras.layers.Layer, kernel: Kernel) -> Kernel:
    """The kernel, or, of two channels where the layer has one, their difference: logits of person and background become the person's."""
    if getattr(layer, "filters", 0) != 1 or kernel.channels != 2 or kernel.form not in ("", "transposed"):
        return kernel
    axis = 2 if kernel.form == "transposed" else 3
    return replace(kernel, values=np.diff(kernel.values, axis=axis), bias=np.diff(kernel.bias))


def _needed(layer: keras.layers.Layer) -> str:
    return kind_of(layer.weights[0].shape, _form(layer))


def _form(layer: keras.layers.Layer) -> Form:
    """Of a layer among FILLED."""
    if isinstance(layer, keras.layers.PReLU):
        return "slopes"
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return "depthwise"
    return "transposed" if isinstance(layer, keras.layers.Conv2DTranspose) else ""


def _norm(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The batch normalisation behind a convolution, None where there is none."""
    takers = [node.layer for node in layer.outbound_nodes]
    return next((taker for taker in takers if isinstance(taker, keras.layers.BatchNormalization)), None)


def _gates(layer: keras.layers.Layer) -> bool:
    """Whether a hard sigmoid follows."""
    return any(isinstance(node.layer, HardSigmoid) for node in layer.outbound_nodes)


def _sources(layer: keras.layers.Layer) -> list[str]:
    """Names of the layers that a layer takes its input from."""
    return [source.name for node in layer.inbound_nodes[:1] for source in tf.nest.flatten(node.inbound_layers)]


def _numbers(numbers: frozenset[int]) -> str:
    return " and ".join(str(number + 1) for number in sorted(numbers)) or "the picture"
