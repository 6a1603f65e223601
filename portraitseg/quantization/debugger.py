"""Where an int8 file loses: every layer of it against the same layer of its float file, on real pictures."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.errors import InputError
from portraitseg.quantization.post_training.limits import Limits, limits, within
from portraitseg.quantization.post_training.statistics import open_preserving
from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph, layers_of

Array = npt.NDArray[Any]
SILENT = 1e-12
"""Energy below which a tensor counts as 0 everywhere; it also limits the ratios to 120 dB."""
OUTPUT = "output"
"""What the graph's output is called: its tensor has a name that all nets share."""


@dataclass(frozen=True, kw_only=True)
class LayerError:
    """What one layer gives in int8, against what it gives in float; over all pixels, channels and pictures."""

    layer: str
    kind: str
    """The operator, such as CONV_2D."""
    sqnr: float
    """Signal-to-quantization-noise ratio in dB, 10 log10(sum x^2 / sum (x - x8)^2): with all that went wrong before."""
    cosine: float
    """Of the angle between both: 1 where only the size differs."""
    own: float
    """SQNR in dB of the layer by itself: against the float layer on the same inputs, those of the int8 file."""


@dataclass
class Sums:
    """Of x in float and x8 in int8, gathered picture by picture."""

    signal: float = 0.0
    noise: float = 0.0
    product: float = 0.0
    other: float = 0.0

    def add(self, x: Array, x8: Array) -> None:
        """One picture's tensors, of any shape."""
        x, x8 = x.ravel().astype(np.float64), x8.ravel().astype(np.float64)
        self.signal += float(x @ x)
        self.noise += float((x - x8) @ (x - x8))
        self.product += float(x @ x8)
        self.other += float(x8 @ x8)

    @property
    def sqnr(self) -> float:
        """In dB."""
        return float(10 * np.log10(max(self.signal, SILENT) / max(self.noise, SILENT * self.signal, SILENT)))

    @property
    def cosine(self) -> float:
        """Of the angle between x and x8."""
        return float(self.product / max(np.sqrt(self.signal * self.other), SILENT))


@dataclass
class _Layer:
    """A tensor that both files have, and the float operators that make it from such tensors."""

    index: int
    detail: Mapping[str, Any]
    bounds: Limits | None
    """Beyond them no difference matters."""
    alone: Any
    """Interpreter of these operators by themselves."""
    inputs: list[int]
    whole: Sums = field(default_factory=Sums)
    own: Sums = field(default_factory=Sums)


def compare(floating: bytes, quantized: bytes, pictures: Iterable[tuple[Array, Array]]) -> list[LayerError]:
    """Run both files and compare all tensors of one name.

    Args:
        floating: a float .tflite file.
        quantized: the int8 file of the same graph, all of it or with layers left float.
        pictures: the same picture prepared for either, each (1,h,w,C) float32.

    Returns:
        The layers in the order in which they run; of one that gives several tensors the one that is worst by itself.

    Raises:
        InputError: the files have no layer in common, or there is no picture.
    """
    graph = TFLiteGraph(floating)
    first, second = open_preserving(floating), open_preserving(quantized)
    shared = matches(graph, second)
    if not any(named(graph, index) != OUTPUT for index in shared):
        raise InputError("the two files have no layer in common: give the int8 file and the checkpoint or float file that it was made from")
    bounds = limits(graph)
    layers = [_Layer(index, detail, bounds.get(index), *_alone(graph, index, shared)) for index, detail in shared.items()]
    for x, x8 in pictures:
        _run(first, x)
        _run(second, x8)
        stored = {index: real(second.get_tensor(detail["index"]), detail) for index, detail in shared.items()}
        for layer in layers:
            again = _again(layer, {int(graph.graph.inputs[0]): x, **stored})
            wanted, alone, given = (within(tensor, layer.bounds) for tensor in (first.get_tensor(layer.index), again, stored[layer.index]))
            layer.whole.add(wanted, given)
            layer.own.add(alone, given)
    if not any(layer.whole.other for layer in layers):
        raise InputError("there is no picture to compare the files on; give a folder with pictures: --data DIR")
    return _by_layer(graph, layers)


def matches(graph: TFLiteGraph, quantized: Any) -> dict[int, Mapping[str, Any]]:
    """What operators give in the float file, by number -> what the int8 file's interpreter says of the tensor of that name and shape."""
    details = {str(detail["name"]): detail for detail in quantized.get_tensor_details() if detail["name"]}
    names = {index: details.get(graph.name(index)) for index in graph.activations() if index not in graph.graph.inputs}
    return {index: detail for index, detail in names.items() if detail and tuple(detail["shape"]) == graph.shape(index)}


def worst(errors: Sequence[LayerError], count: int = 5) -> list[LayerError]:
    """The layers that are worst by themselves; one that only gets what others spoiled is not to blame."""
    return sorted(errors, key=lambda error: error.own)[:count]


def real(numbers: Array, detail: Mapping[str, Any]) -> Array:
    """A tensor's values: scale * (number - zero point), or, of a float one, as they are."""
    scale, zero = detail["quantization"]
    return np.asarray((numbers.astype(np.float64) - zero) * scale if scale else numbers, np.float32)


def named(graph: TFLiteGraph, index: int) -> str:
    """The layer that gives a tensor."""
    return OUTPUT if index in graph.graph.outputs else layers_of(graph.name(index))[0]


def _alone(graph: TFLiteGraph, index: int, shared: Mapping[int, Any]) -> tuple[Any, list[int]]:
    """The operators between a tensor and the shared ones before it, as a net of their own, and the inputs of that."""
    makers = {int(output): operator for operator in graph.graph.operators for output in operator.outputs}
    operators: list[Any] = []
    inputs: dict[int, None] = {}

    def need(tensor: int) -> None:
        if tensor != index and (tensor in shared or tensor in graph.graph.inputs):
            inputs[tensor] = None
        elif tensor in makers and not any(makers[tensor] is operator for operator in operators):
            for source in makers[tensor].inputs:
                need(int(source))
            operators.append(makers[tensor])

    need(index)
    return open_preserving(_part(graph, operators, list(inputs), index)), list(inputs)


def _part(graph: TFLiteGraph, operators: list[Any], inputs: list[int], output: int) -> bytes:
    """A file of some of the operators, with the weights of these alone."""
    part = copy.copy(graph)
    part.model, part.graph = copy.copy(graph.model), copy.copy(graph.graph)
    part.graph.operators, part.graph.inputs, part.graph.outputs = operators, np.array(inputs, np.int32), np.array([output], np.int32)
    used = {graph.graph.tensors[index].buffer for operator in operators for index in operator.inputs if index >= 0}
    empty = graph.model.buffers[0]  # by the schema
    part.model.buffers = [buffer if number in used else empty for number, buffer in enumerate(graph.model.buffers)]
    part.model.subgraphs, part.model.signatureDefs, part.model.metadata = [part.graph], None, None
    return part.content()


def _again(layer: _Layer, values: Mapping[int, Array]) -> Array:
    """What the float layer gives for the int8 file's inputs."""
    for index in layer.inputs:
        layer.alone.set_tensor(index, values[index])
    layer.alone.invoke()
    return np.asarray(layer.alone.get_tensor(layer.index))


def _run(interpreter: Any, x: Array) -> None:
    detail = interpreter.get_input_details()[0]
    scale, zero = detail["quantization"]
    if scale:
        ends = np.iinfo(detail["dtype"])
        x = np.clip(np.round(x / scale + zero), ends.min, ends.max)
    interpreter.set_tensor(detail["index"], x.astype(detail["dtype"]))
    interpreter.invoke()


def _by_layer(graph: TFLiteGraph, layers: Sequence[_Layer]) -> list[LayerError]:
    makers = {int(output): operator for operator in graph.graph.operators for output in operator.outputs}
    found: dict[str, LayerError] = {}
    for layer in layers:
        name, kind = named(graph, layer.index), graph.kind(makers[layer.index])
        error = LayerError(layer=name, kind=kind, sqnr=layer.whole.sqnr, cosine=layer.whole.cosine, own=layer.own.sqnr)
        if name not in found or error.own < found[name].own:
            found[name] = error
    return list(found.values())
