"""A .tflite file's graph, to read and to change; tensorflow/lite/schema/schema.fbs in TensorFlow's repository has the format."""

import copy
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.errors import InputError

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

OUTPUT_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
"""Of a convolution's weights: where its output channels lie. Its input channels lie last."""


class TFLiteGraph:
    """The one graph of a file; operators and tensors are the schema's own objects."""

    def __init__(self, content: bytes) -> None:
        """Unpack a file.

        Raises:
            InputError: it is no .tflite file, or holds several graphs.
        """
        if content[4:8] != b"TFL3":
            raise InputError(f'this is not a .tflite file: bytes 4 to 8 must be "TFL3", got {content[4:8]!r}; export again')
        self.model = _schema().ModelT.InitFromPackedBuf(content, 0)
        if len(self.model.subgraphs) != 1:
            raise InputError(f"the .tflite file holds {len(self.model.subgraphs)} graphs, allowed is 1; export it without control flow")
        self.graph = self.model.subgraphs[0]

    def content(self) -> bytes:
        """The file."""
        import flatbuffers

        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def name(self, index: int) -> str:
        """Of a tensor; a fused one has the names of all its parts, parted by ";"."""
        return str(self.graph.tensors[index].name.decode())

    def shape(self, index: int) -> tuple[int, ...]:
        """Of a tensor."""
        return tuple(int(side) for side in self.graph.tensors[index].shape)

    def kind(self, operator: Any) -> str:
        """The operator's name, such as CONV_2D."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return _kinds()[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def fused(self, operator: Any) -> str:
        """The activation merged into the operator: NONE, RELU, RELU6, ..."""
        return _activations()[getattr(operator.builtinOptions, "fusedActivationFunction", 0)]

    def convolutions(self) -> list[Any]:
        """The convolutions with constant float weights, which are their input 1."""
        found = [operator for operator in self.graph.operators if self.kind(operator) in OUTPUT_AXIS]
        return [operator for operator in found if self.is_constant(operator.inputs[1])]

    def source(self, convolution: Any) -> int:
        """The tensor that a convolution takes."""
        return int(convolution.inputs[2 if self.kind(convolution) == "TRANSPOSE_CONV" else 0])

    def bias_position(self, convolution: Any) -> int:
        """Which input of a convolution is its bias; 0 for none."""
        position = 3 if self.kind(convolution) == "TRANSPOSE_CONV" else 2
        return position if len(convolution.inputs) > position and self._data(convolution.inputs[position]) is not None else 0

    def consumers(self, index: int) -> list[Any]:
        """The operators that take a tensor."""
        return [operator for operator in self.graph.operators if index in operator.inputs]

    def activations(self) -> list[int]:
        """The float tensors that change with the picture: the graph's inputs and what its operators give."""
        made = [int(index) for operator in self.graph.operators for index in operator.outputs]
        kind = _schema().TensorType.FLOAT32
        return [index for index in [*map(int, self.graph.inputs), *made] if self.graph.tensors[index].type == kind]

    def is_constant(self, index: int) -> bool:
        """Whether a tensor (-1: none) is float and the same for every picture."""
        if index < 0 or self.graph.tensors[index].type != _schema().TensorType.FLOAT32:
            return False
        return self._data(index) is not None

    def _data(self, index: int) -> bytes | None:
        """The bytes of a constant; None of another tensor, and of none (-1)."""
        data = self.model.buffers[self.graph.tensors[index].buffer].data if index >= 0 else None
        return np.asarray(data, np.uint8).tobytes() if data is not None and len(data) else None

    def values(self, index: int) -> Float32:
        """Of a constant float tensor."""
        return np.frombuffer(self._data(index) or b"", np.float32).reshape(self.shape(index))

    def real(self, index: int) -> Float64:
        """What a constant tensor stands for; of one of whole numbers scale * number, by channel along its quantized axis."""
        if self.is_constant(index):
            return self.values(index).astype(np.float64)
        tensor = self.graph.tensors[index]
        kind = np.int32 if tensor.type == _schema().TensorType.INT32 else np.int8
        numbers = np.frombuffer(self._data(index) or b"", kind).reshape(self.shape(index)).astype(np.float64)
        axis = tensor.quantization.quantizedDimension
        scales = np.asarray(tensor.quantization.scale, np.float64).reshape([-1 if number == axis else 1 for number in range(numbers.ndim)])
        return np.asarray(numbers * scales)

    def set_constant(self, operator: Any, position: int, values: Float32) -> None:
        """Give an operator's constant input new values; other operators that share the tensor or its buffer keep theirs."""
        index = int(operator.inputs[position])
        if len(self.consumers(index)) > 1:
            tensor = copy.copy(self.graph.tensors[index])
            tensor.name += f"_{len(self.graph.tensors)}".encode()
            operator.inputs = np.array(operator.inputs)
            operator.inputs[position] = index = len(self.graph.tensors)
            self.graph.tensors.append(tensor)
        tensor = self.graph.tensors[index]
        if sum(other.buffer == tensor.buffer for other in self.graph.tensors) > 1:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(None)
        buffer = _schema().BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values, np.float32).tobytes(), np.uint8)
        self.model.buffers[tensor.buffer] = buffer

    def set_range(self, index: int, low: float, high: float) -> None:
        """Write the range of a float tensor where the converter's quantizer looks for it."""
        quantization = _schema().QuantizationParametersT()
        quantization.min, quantization.max = [low], [high]
        self.graph.tensors[index].quantization = quantization


def layers_of(name: str) -> list[str]:
    """The layers that made a tensor: net/dec1_project/BiasAdd;net/dec1_project/Conv2D -> [dec1_project]."""
    parts = [part.split("/") for part in name.split(";")]
    return list(dict.fromkeys(part[1] if len(part) > 1 else part[0] for part in parts))


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


@cache
def _kinds() -> dict[int, str]:
    return _by_number(_schema().BuiltinOperator)


@cache
def _activations() -> dict[int, str]:
    return _by_number(_schema().ActivationFunctionType)


def _by_number(enumeration: Any) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if not name.startswith("_")}
