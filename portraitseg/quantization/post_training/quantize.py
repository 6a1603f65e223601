"""Post-training quantization of a float .tflite file: ranges from the calibration set, then TensorFlow's quantizer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.optimize.calibrator import Calibrator
from tensorflow.lite.python.util import modify_model_io_type

from portraitseg.errors import InputError
from portraitseg.quantization.post_training import rounding, thresholds
from portraitseg.quantization.post_training.equalise import equalise
from portraitseg.quantization.post_training.statistics import Statistics, collect
from portraitseg.quantization.post_training.tflite_graph import Float32, TFLiteGraph, layers_of

IO = {"uint8": tf.uint8, "int8": tf.int8, "int16": tf.int16, "float": tf.float32}
ROUNDINGS = ("gptq", "nearest")
"""Of weights: see `rounding`; or each to the nearest step."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a float file becomes int8."""

    method: str = "percentile"
    """Of `thresholds.METHODS`; the default lost least in `benchmarks/ptq.py`."""
    equalise: bool = True
    """See `equalise`."""
    rounding: str = "gptq"
    """Of ROUNDINGS."""
    keep_float: tuple[str, ...] = ()
    """Layers that stay float, between a DEQUANTIZE and a QUANTIZE."""

    def as_card(self) -> dict[str, Any]:
        """For a card's calibration."""
        return {"method": self.method, "equalise": self.equalise, "rounding": self.rounding, "keep_float": list(self.keep_float)}


def to_int8(content: bytes, pictures: Iterable[Float32], recipe: Recipe, *, io: str) -> bytes:
    """Quantize weights and activations to int8.

    Args:
        content: a float file with one input.
        pictures: the calibration set, inputs (1,h,w,C), the same ones each time they are asked for.
        recipe: the ranges, and what is done to the weights before.
        io: of the input and output: "uint8", "int8" or "float".

    Raises:
        InputError: a layer to keep float is not there.
    """
    kept = layer_tensors(content, recipe.keep_float)
    content = equalise(content, collect(content, pictures)).content if recipe.equalise else content
    statistics = collect(content, pictures, histograms=recipe.method in thresholds.BY_HISTOGRAM)
    content = rounding.fit(content, pictures, leave=kept) if recipe.rounding == "gptq" else content
    return finish(content, statistics, recipe.method, kept, io=io)


def finish(content: bytes, statistics: dict[int, Statistics], method: str, kept: Sequence[str] = (), *, io: str) -> bytes:
    """The end of `to_int8`: ranges by `method`, of `thresholds.METHODS`, and all rounded but the tensors `kept` float."""
    done = mlir_quantize(with_ranges(content, statistics, method), denylisted_nodes=set(kept) or None)
    return bytes(modify_model_io_type(done, IO[io], IO[io]))


def to_int16x8(content: bytes, pictures: Iterable[Float32], *, io: str) -> bytes:
    """Quantize weights to int8 and activations to int16, symmetric, from the smallest to the largest value met.

    Args:
        content: a float file with one input.
        pictures: the calibration set, inputs (1,h,w,C).
        io: of the input and output: "int16" or "float".

    Raises:
        InputError: an operator has no such form.
    """
    settings = {"allow_float": False, "activations_type": tf.int16, "bias_type": tf.int64, "resize_input": False}
    try:
        return bytes(Calibrator(content).calibrate_and_quantize(lambda: ([x] for x in pictures), IO[io], IO[io], **settings))
    except RuntimeError as error:
        raise InputError(f"int16x8 cannot hold this net: {str(error).rstrip('.')}; export with --quant int8 or fp16") from error


def with_ranges(content: bytes, statistics: dict[int, Statistics], method: str) -> bytes:
    """The float file with the range of every activation in it; the input has that of a byte, and nothing is cut off it."""
    flat = TFLiteGraph(content)
    for index, found in statistics.items():
        flat.set_range(index, *thresholds.choose("minmax" if index in flat.graph.inputs else method, found))
    return flat.content()


def layer_tensors(content: bytes, layers: Sequence[str]) -> list[str]:
    """Full names of the tensors that the layers give.

    Raises:
        InputError: a layer is not in the file.
    """
    flat = TFLiteGraph(content)
    names = [flat.name(int(index)) for operator in flat.graph.operators for index in operator.outputs]
    found = {layer: [name for name in names if layer in layers_of(name)] for layer in layers}
    if missing := [layer for layer, matches in found.items() if not matches]:
        known = ", ".join(sorted({layers_of(name)[0] for name in names if "/" in name}))
        raise InputError(f"no layer {', '.join(missing)} to keep float; those of the deploy graph are {known}")
    return [name for matches in found.values() for name in matches]
