"""Where an int8 file loses: every layer of it against the same layer of its float file, on real pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.errors import InputError
from portraitseg.quantization.post_training.statistics import open_preserving
from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph, layers_of

Array = npt.NDArray[Any]
MOVES = ("STRIDED_SLICE", "SLICE", "SPLIT", "RESHAPE", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "TRANSPOSE")
"""Operators that only move numbers, so that they add no noise, even where the part that they take has more of it than the whole."""
SILENT = 1e-12
"""Energy below which a tensor counts as 0 everywhere."""


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """What one layer gives in int8, against what it gives in float; over all pixels, channels and pictures."""

    layer: str
    kind: str
    """The operator, such as CONV_2D."""
    sqnr: float
    """Signal-to-quantization-noise ratio in dB: 10 log10(sum x^2 / sum (x - x8)^2)."""
    cosine: float
    """Of the angle between both: 1 where only the size differs."""
    added: float
    """Noise / signal that the layer itself adds: its own less the largest of its inputs; 0.01 is one per cent of the signal's energy."""


@dataclass
class _Sums:
    signal: float = 0.0
    noise: float = 0.0
    product: float = 0.0
    other: float = 0.0

    def add(self, x: Array, x8: Array) -> None:
        x, x8 = x.ravel().astype(np.float64), x8.ravel().astype(np.float64)
        self.signal += float(x @ x)
        self.noise += float((x - x8) @ (x - x8))
        self.product += float(x @ x8)
        self.other += float(x8 @ x8)

    @property
    def ratio(self) -> float:
        """Noise / signal."""
        return self.noise / max(self.signal, SILENT)


def compare(floating: bytes, quantized: bytes, pictures: Iterable[tuple[Array, Array]]) -> list[LayerError]:
    """Run both files and compare all tensors of one name.

    Args:
        floating: a float .tflite file.
        quantized: the int8 file of the same graph, all of it or with layers left float.
        pictures: the same picture prepared for either, each (1,h,w,C) float32.

    Returns:
        The layers in the order in which they run; of one that gives several tensors the one with most noise.

    Raises:
        InputError: the files have no layer in common, or there is no picture.
    """
    graph = TFLiteGraph(floating)
    first, second = open_preserving(floating), open_preserving(quantized)
    pairs = matches(graph, second)
    if not pairs:
        raise InputError("the two files have no layer in common: give the int8 file and the checkpoint or float file that it was made from")
    sums = {index: _Sums() for index in pairs}
    for x, other in pictures:
        _run(first, x)
        _run(second, other)
        for index, detail in pairs.items():
            sums[index].add(first.get_tensor(index), real(second.get_tensor(detail["index"]), detail))
    if not any(found.signal for found in sums.values()):
        raise InputError("there is no picture to compare the files on; give a folder with pictures: --data DIR")
    return _by_layer(_errors(graph, sums))


def matches(graph: TFLiteGraph, quantized: Any) -> dict[int, Mapping[str, Any]]:
    """The float file's activations by number -> what the int8 file's interpreter says of the tensor of the same name and shape."""
    details = {str(detail["name"]): detail for detail in quantized.get_tensor_details() if detail["name"]}
    made = [int(index) for operator in graph.graph.operators for index in operator.outputs]
    names = {index: details.get(graph.name(index)) for index in made}
    return {index: detail for index, detail in names.items() if detail and tuple(detail["shape"]) == graph.shape(index)}


def worst(errors: Sequence[LayerError], count: int = 5) -> list[LayerError]:
    """The layers that add most noise themselves; one behind them that only hands it on is not to blame."""
    return sorted(errors, key=lambda error: -error.added)[:count]


def real(numbers: Array, detail: Mapping[str, Any]) -> Array:
    """A tensor's values: scale * (number - zero point), or, of a float one, as they are."""
    scale, zero = detail["quantization"]
    return (numbers.astype(np.float64) - zero) * scale if scale else numbers


def _run(interpreter: Any, x: Array) -> None:
    detail = interpreter.get_input_details()[0]
    scale, zero = detail["quantization"]
    if scale:
        limits = np.iinfo(detail["dtype"])
        x = np.clip(np.round(x / scale + zero), limits.min, limits.max)
    interpreter.set_tensor(detail["index"], x.astype(detail["dtype"]))
    interpreter.invoke()


def _errors(graph: TFLiteGraph, sums: Mapping[int, _Sums]) -> list[LayerError]:
    """One for each matched tensor; the noise that comes in is looked for behind tensors that were not matched too."""
    coming: dict[int, float] = {}  # tensor -> noise / signal; of one that was not matched, the largest of its inputs
    errors = []
    for operator in graph.graph.operators:
        before = max((coming.get(int(index), 0.0) for index in operator.inputs), default=0.0)
        for index in map(int, operator.outputs):
            found = sums.get(index)
            coming[index] = found.ratio if found else before
            if found:
                blameless = found.ratio if graph.kind(operator) in MOVES else before
                errors.append(_error(layers_of(graph.name(index))[0], graph.kind(operator), found, blameless))
    return errors


def _error(layer: str, kind: str, found: _Sums, before: float) -> LayerError:
    sqnr = -10 * np.log10(max(found.ratio, SILENT))
    cosine = found.product / max(np.sqrt(found.signal * found.other), SILENT)
    return LayerError(layer=layer, kind=kind, sqnr=float(sqnr), cosine=float(cosine), added=max(found.ratio - before, 0.0))


def _by_layer(errors: Sequence[LayerError]) -> list[LayerError]:
    layers: dict[str, LayerError] = {}
    for error in errors:
        if error.layer not in layers or error.sqnr < layers[error.layer].sqnr:
            layers[error.layer] = error
    return list(layers.values())
