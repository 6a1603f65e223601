"""LiteRT (.tflite): float, or 8-bit by the tensors' own scales."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from portraitseg.errors import InputError, one_line
from portraitseg.image import Array
from portraitseg.quiet import quiet
from portraitseg.runtime.tensors import Tensor
from portraitseg.tflite_metadata import IDENTIFIER


class TFLite:
    """A .tflite file, opened by LiteRT's interpreter. Input and output are the interpreter's own memory."""

    def __init__(self, path: Path, threads: int) -> None:
        """See `open_interpreter`."""
        self.interpreter = open_interpreter(path, threads=threads)
        self.inputs = [tensor(detail) for detail in self.interpreter.get_input_details()]
        self.outputs = [tensor(detail) for detail in self.interpreter.get_output_details()]
        self._source = self.interpreter.tensor(self.interpreter.get_input_details()[0]["index"])
        self._ends = [self.interpreter.tensor(detail["index"]) for detail in self.interpreter.get_output_details()]

    def __call__(self, x: Array, output: int) -> Array:
        """See `Engine`."""
        self._source()[...] = x
        self.interpreter.invoke()  # which no view of a tensor may outlive
        return np.asarray(self._ends[output]())


def open_engine(path: Path, threads: int) -> TFLite:
    """See `TFLite`."""
    return TFLite(path, threads)


def open_interpreter(path: Path, *, threads: int) -> Any:
    """Open with XNNPACK, or, where it refuses the graph, with the built-in kernels and a notice on stderr.

    Returns:
        An `Interpreter` whose tensors are allocated.

    Raises:
        InputError: the file is no whole .tflite, or holds operators that LiteRT does not have.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    check_identifier(path)
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    refused = ""
    try:
        with quiet():  # XNNPACK greets on stderr
            try:
                interpreter = Interpreter(str(path), num_threads=threads)
                interpreter.allocate_tensors()
            except RuntimeError as refusal:
                interpreter = Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=plain)
                interpreter.allocate_tensors()
                refused = one_line(refusal)
    except (RuntimeError, ValueError) as error:
        remedy = "copy it again, export again, or give the file from before the Edge TPU's compiler"
        raise InputError(f"LiteRT cannot open {path}: {one_line(error)}; {remedy}") from error
    if refused:
        print(f"notice: XNNPACK refuses {path.name}; the slower built-in kernels run it ({refused})", file=sys.stderr)
    return interpreter


def check_identifier(path: Path) -> None:
    """Refuse what is no .tflite file at all.

    Raises:
        InputError: it cannot be read, or bytes 4 to 8 are other ones.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a .tflite file") from error
    if head[4:] != IDENTIFIER:
        raise InputError(f'{path} is not a .tflite file: bytes 4 to 8 must be "TFL3", got {head[4:]!r}; copy it again or export again')


def tensor(detail: Mapping[str, Any]) -> Tensor:
    """What LiteRT says of an input or output; a side that is open, but for the batch, is -1."""
    sides, signature = detail["shape"], detail["shape_signature"]
    is_open = [number > 0 and len(signature) == len(sides) and signature[number] < 0 for number in range(len(sides))]
    scale, zero_point = detail["quantization"]
    return Tensor(
        name=detail["name"],
        shape=tuple(-1 if unknown else int(side) for side, unknown in zip(sides, is_open, strict=True)),
        dtype=detail["dtype"],
        scale=float(scale),
        zero_point=int(zero_point),
    )
