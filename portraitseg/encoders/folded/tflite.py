"""The operators of a .tflite file, read with the schema that LiteRT brings; weights in 8 or 16 bits become floats."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.encoders.folded.graph import Float32, Form, Kernel, Operator
from portraitseg.errors import InputError, one_line
from portraitseg.flatbuffer import MALFORMED, MOST
from portraitseg.tflite_metadata import IDENTIFIER

ARITHMETIC = ("ADD", "SUB", "MUL", "DIV")
AVERAGES = ("MEAN", "AVERAGE_POOL_2D")
FORMS: dict[str, Form] = {
    "CONV_2D": "",
    "DEPTHWISE_CONV_2D": "depthwise",
    "TRANSPOSE_CONV": "transposed",
    "Convolution2DTransposeBias": "transposed",  # MediaPipe's own
    "PRELU": "slopes",
}
DTYPES = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT8": "i1", "UINT8": "u1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8"}
"""Of weights and biases, by the schema's name."""


def operators(path: Path) -> Iterator[Operator]:
    """The operators of the file's first graph, in the order in which they run.

    Raises:
        InputError: the file cannot be read, now or when a kernel is asked for.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a .tflite file") from error
    if content[4:8] != IDENTIFIER:
        raise InputError(f'{path} is not a .tflite file: bytes 4 to 8 must be "TFL3", got {content[4:8]!r}; copy it again')
    with _damaged(path):
        yield from _File(path, content).operators()


class _File:
    """A file's first graph; constants that a DEQUANTIZE unpacks count as its outputs.

    An ADD of a constant right behind a TRANSPOSE_CONV is its bias: older converters write it so.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.path, self.schema = path, schema
        self.model = schema.Model.GetRootAs(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.kinds = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        self.dtypes = {number: name for name, number in vars(schema.TensorType).items() if not name.startswith("_")}
        self.unpacked: dict[int, int] = {}

    def operators(self) -> Iterator[Operator]:
        count, bias = _limited(self.graph.OperatorsLength()), None
        for number in range(count):
            operator, is_bias = self.graph.Operators(number), bias is not None
            inputs, bias = self.inputs(operator), None
            outputs = _ints(operator.OutputsAsNumpy())
            constants = [index for index in inputs if len(self.data(index))]
            kind = self.kind(operator)
            if kind == "DEQUANTIZE" and constants:
                self.unpacked[outputs[0]] = inputs[0]
                continue
            if kind == "TRANSPOSE_CONV" and len(inputs) == 3 and number + 1 < count:
                bias = self.added(self.graph.Operators(number + 1), outputs[0])
                inputs += [] if bias is None else [bias]
            yield Operator(
                name=f"{kind} {self.name(outputs[0])}" if outputs else kind,
                inputs=tuple(index for index in inputs if index not in constants),
                outputs=tuple(outputs),
                kernel=partial(self.kernel, operator, inputs, FORMS[kind]) if kind in FORMS else None,
                by_channel=not is_bias and kind in ARITHMETIC and any(np.prod(self.shape(index)) > 1 for index in constants),
                averages=kind in AVERAGES,
            )

    def inputs(self, operator: Any) -> list[int]:
        return [self.unpacked.get(index, index) for index in _ints(operator.InputsAsNumpy()) if index >= 0]

    def added(self, operator: Any, output: int) -> int | None:
        """The constant (C,) that an operator adds to a tensor (N,h,w,C); None: it does something else."""
        inputs = self.inputs(operator)
        if self.kind(operator) != "ADD" or output not in inputs:
            return None
        shape = self.shape(output)[-1:]
        return next((index for index in inputs if len(self.data(index)) and self.shape(index) == shape), None)

    def kernel(self, operator: Any, inputs: list[int], form: Form) -> Kernel:
        with _damaged(self.path):
            x, weights, *bias = (inputs[2], inputs[1], *inputs[3:]) if self.kind(operator) == "TRANSPOSE_CONV" else inputs
            values = self.values(weights)  # out,h,w,in; depthwise 1,h,w,in * multiplier; slopes 1,1,C
            if form == "slopes":
                return Kernel(form=form, values=values.reshape(1, 1, -1, 1), bias=np.zeros(values.size, np.float32))
            shift = self.values(bias[0]) if bias else np.zeros(values.shape[3 if form == "depthwise" else 0], np.float32)
            if form == "depthwise":
                values = values.reshape(*values.shape[1:3], self.shape(x)[3], -1)
            else:
                values = values.transpose((1, 2, 0, 3) if form == "transposed" else (1, 2, 3, 0))
            return Kernel(form=form, values=values, bias=shift, relu6=self.relu6(operator, form))

    def relu6(self, operator: Any, form: Form) -> bool:
        """Whether a convolution ends in a ReLU6."""
        table = operator.BuiltinOptions()
        if table is None or form == "transposed":
            return False
        options = self.schema.DepthwiseConv2DOptions() if form else self.schema.Conv2DOptions()
        options.Init(table.Bytes, table.Pos)
        return bool(options.FusedActivationFunction() == self.schema.ActivationFunctionType.RELU6)

    def values(self, index: int) -> Float32:
        """Of a constant, as floats."""
        tensor, data = self.tensor(index), self.data(index)
        dtype = self.dtypes.get(tensor.Type(), "of an unknown type")
        if dtype not in DTYPES or not len(data):
            what = f"are {dtype}" if len(data) else "are computed or stand outside the graph"
            raise InputError(f"{self.path}: the weights {self.name(index)} {what}; allowed: constants in {', '.join(DTYPES)}")
        numbers = np.frombuffer(data.tobytes(), DTYPES[dtype]).reshape(self.shape(index))
        return np.asarray(numbers, np.float32) if dtype.startswith("FLOAT") else self.scaled(tensor, numbers)

    def scaled(self, tensor: Any, numbers: npt.NDArray[Any]) -> Float32:
        """Quantized numbers as real ones: scale * (number - zero point), by tensor or by channel."""
        quantization = tensor.Quantization()
        scales = np.asarray(quantization.ScaleAsNumpy() if quantization else [], np.float64).reshape(-1)
        zeros = np.asarray(quantization.ZeroPointAsNumpy() if quantization else [], np.float64).reshape(-1)
        sides = [1] * numbers.ndim
        if len(scales) > 1:
            sides[quantization.QuantizedDimension()] = -1
        zeros = np.resize(zeros, scales.shape) if len(zeros) else np.zeros_like(scales)
        return np.asarray((numbers - zeros.reshape(sides)) * scales.reshape(sides), np.float32)

    def tensor(self, index: int) -> Any:
        if not 0 <= index < self.graph.TensorsLength():
            raise IndexError(f"there is no tensor {index}")
        return self.graph.Tensors(index)

    def data(self, index: int) -> npt.NDArray[np.uint8]:
        """A constant's bytes; none of what is computed."""
        number = self.tensor(index).Buffer()
        if not 0 <= number < self.model.BuffersLength():
            raise IndexError(f"there is no buffer {number}")
        buffer = self.model.Buffers(number)
        return np.frombuffer(buffer.DataAsNumpy() if buffer.DataLength() else b"", np.uint8)

    def shape(self, index: int) -> tuple[int, ...]:
        return tuple(_ints(self.tensor(index).ShapeAsNumpy()))

    def name(self, index: int) -> str:
        return str((self.tensor(index).Name() or b"").decode(errors="replace")[-80:])

    def kind(self, operator: Any) -> str:
        number = operator.OpcodeIndex()
        if not 0 <= number < self.model.OperatorCodesLength():
            raise IndexError(f"there is no operator code {number}")
        code = self.model.OperatorCodes(number)
        kind = str(self.kinds.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "UNKNOWN"))
        return (code.CustomCode() or b"").decode(errors="replace") if kind == "CUSTOM" else kind


def _ints(vector: Any) -> list[int]:
    """A vector of the schema, which is the number 0 where there is none."""
    return [int(value) for value in vector[:MOST]] if isinstance(vector, np.ndarray) else []


def _limited(count: int) -> int:
    if count > MOST:
        raise ValueError(f"{count} operators, {MOST} at the most")
    return count


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (*MALFORMED, AttributeError) as error:
        raise InputError(f"{path} is damaged ({one_line(error)}); copy it again or export it again") from error
