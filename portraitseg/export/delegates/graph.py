"""A .tflite file as a list of ops: name, version, tensors and options, read with the schema that LiteRT brings."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.errors import InputError

IDENTIFIER = b"TFL3"
EDGETPU_OP = "edgetpu-custom-op"
"""What the Edge TPU's compiler puts in the place of all that it took."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """What an op takes or gives."""

    index: int
    name: str
    dtype: str
    """Like NumPy's: "float32", "int8"."""
    shape: tuple[int, ...]
    """-1 where the size is only known at run time."""
    content: bytes | None
    """Of a constant; None: computed while running; b"": of a constant that stands outside the flatbuffer or is unpacked from another."""
    scales: tuple[float, ...]
    """One for the tensor, or one a channel; none: not quantized."""
    zero_points: tuple[int, ...]

    @property
    def constant(self) -> bool:
        """Whether it is known before the net runs."""
        return self.content is not None

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape, dtype=np.int64))

    def numbers(self) -> npt.NDArray[Any] | None:
        """A constant's numbers, flat; None where they are not known."""
        if not self.content or self.dtype not in ("int32", "int64", "float32"):
            return None
        size = np.dtype(self.dtype).itemsize
        return np.frombuffer(self.content[: len(self.content) // size * size], self.dtype)


@dataclass(frozen=True, kw_only=True)
class Op:
    """One op of the graph."""

    index: int
    name: str
    """Like "CONV_2D"; a custom op's own name."""
    version: int
    inputs: tuple[Tensor | None, ...]
    """None: an optional input that is left out."""
    outputs: tuple[Tensor, ...]
    options: Any = None
    """The schema's object, if the op has any."""
    custom: bool = False

    def option(self, name: str, default: Any = 0) -> Any:
        """An option by the schema's name, like "strideH"."""
        return getattr(self.options, name, default)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All that it takes and gives."""
        return (*(tensor for tensor in self.inputs if tensor), *self.outputs)

    @property
    def running(self) -> tuple[Tensor, ...]:
        """The inputs that are computed while the net runs."""
        return tuple(tensor for tensor in self.inputs if tensor and not tensor.constant)

    @property
    def folded(self) -> bool:
        """Whether it only unpacks constants (weights in half precision), which delegates do once, when the file is opened."""
        return self.name in ("DEQUANTIZE", "DENSIFY") and not self.running

    @property
    def layer(self) -> str:
        """The net's layer that it comes from, as far as the name of what it gives tells."""
        if not self.outputs:
            return self.name
        parts = self.outputs[0].name.split(";")[0].split("/")
        return parts[1] if len(parts) > 2 else parts[0]


@dataclass(frozen=True)
class Graph:
    """The main graph of a .tflite file, its ops in the order in which they run."""

    ops: tuple[Op, ...]
    content: bytes
    """The whole file."""
    subgraphs: int = 1

    @cached_property
    def running(self) -> tuple[Op, ...]:
        """The ops that run with each picture."""
        return tuple(op for op in self.ops if not op.folded)

    @property
    def compiled(self) -> bool:
        """Whether the Edge TPU's compiler made it."""
        return any(op.name == EDGETPU_OP for op in self.ops)

    def at_end(self, op: Op) -> bool:
        """Whether the op takes the graph's input as it comes, or gives the graph's output."""
        made = {tensor.index for other in self.ops for tensor in other.outputs}
        used = {tensor.index for other in self.ops for tensor in other.running}
        return all(tensor.index not in made for tensor in op.running) or all(tensor.index not in used for tensor in op.outputs)

    def histogram(self) -> Counter[str]:
        """Op -> how often it runs with each picture."""
        return Counter(op.name for op in self.running)


def read(content: bytes, name: str) -> Graph:
    """Read a .tflite file.

    Args:
        content: of the file.
        name: for messages.

    Raises:
        InputError: it is no whole .tflite file.
    """
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != IDENTIFIER:
        raise InputError(
            f'{name} is not a .tflite file: bytes 4 to 8 must be "TFL3", got {content[4:8]!r}; give a file that export.py wrote'
        )
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        graph = model.subgraphs[0]
        tensors = [_tensor(index, tensor, model.buffers, schema) for index, tensor in enumerate(graph.tensors)]
        ops = []
        for index, packed in enumerate(graph.operators):
            op = _op(index, packed, model.operatorCodes, tensors, schema)
            for tensor in op.outputs if op.folded else ():
                tensors[tensor.index] = replace(tensor, content=b"")  # as good as a constant for those that take it
            ops.append(op)
    except Exception as error:  # the schema's reader checks nothing: a broken file shows as any error whatever
        raise InputError(f"{name} is not a whole .tflite file ({type(error).__name__}: {error}); copy it again or export again") from error
    return Graph(tuple(ops), content, len(model.subgraphs))


def _tensor(index: int, tensor: Any, buffers: list[Any], schema: Any) -> Tensor:
    quantization, signature = tensor.quantization, tensor.shapeSignature
    shape = tensor.shape if signature is None or len(signature) == 0 else signature
    return Tensor(
        index=index, name=_text(tensor.name), dtype=_names(schema.TensorType)[tensor.type].lower(),
        shape=tuple(int(side) for side in ([] if shape is None else shape)), content=_content(buffers[tensor.buffer]),
        scales=_tuple(quantization and quantization.scale, float), zero_points=_tuple(quantization and quantization.zeroPoint, int),
    )  # fmt: skip


def _content(buffer: Any) -> bytes | None:
    if buffer.data is not None and len(buffer.data):
        return np.asarray(buffer.data, np.uint8).tobytes()
    return b"" if buffer.offset > 1 else None


def _op(index: int, op: Any, codes: list[Any], tensors: list[Tensor], schema: Any) -> Op:
    code = codes[op.opcodeIndex]
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)  # files before 2020 have the second alone
    custom = builtin == schema.BuiltinOperator.CUSTOM
    return Op(
        index=index, name=_text(code.customCode) if custom else _names(schema.BuiltinOperator)[builtin], version=int(code.version),
        inputs=tuple(None if number < 0 else tensors[number] for number in _tuple(op.inputs, int)),
        outputs=tuple(tensors[number] for number in _tuple(op.outputs, int)), options=op.builtinOptions, custom=custom,
    )  # fmt: skip


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


def _tuple(values: Any, kind: Any) -> tuple[Any, ...]:
    return () if values is None else tuple(kind(value) for value in values)


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "replace")
