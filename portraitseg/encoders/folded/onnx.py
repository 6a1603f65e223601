"""The operators of an .onnx file."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from portraitseg.encoders.folded.graph import Float32, Kernel, Operator
from portraitseg.errors import InputError, one_line
from portraitseg.optional import require

ARITHMETIC = ("Add", "Sub", "Mul", "Div")
AVERAGES = ("ReduceMean", "GlobalAveragePool", "AveragePool")
DTYPES = ("FLOAT", "FLOAT16", "DOUBLE")


def operators(path: Path) -> Iterator[Operator]:
    """The operators of the file's graph, in the order in which they run.

    Raises:
        InputError: the file cannot be read, now or when a kernel is asked for.
    """
    onnx = require("onnx", extra="onnx")
    try:
        graph = onnx.load_model_from_string(path.read_bytes()).graph  # which, unlike `load`, opens no other files that it names
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give an .onnx file") from error
    except Exception as error:  # protobuf's, whose kind differs between its implementations
        raise InputError(f"{path} is not a whole .onnx file ({one_line(error)}); copy it again or export it again") from error
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {node.output[0]: item.t for node in graph.node for item in node.attribute if node.op_type == "Constant" and node.output}
    for node in graph.node:
        weights = [constants[name] for name in node.input if name in constants]
        scales = node.op_type in ARITHMETIC and any(np.prod(tensor.dims, dtype=float) > 1 for tensor in weights)
        yield Operator(
            name=f"{node.op_type} {node.output[0] if node.output else ''}"[:80],
            inputs=tuple(name for name in node.input if name and name not in constants),
            outputs=tuple(node.output),
            kernel=partial(_kernel, path, node, constants) if node.op_type in ("Conv", "ConvTranspose", "PRelu") else None,
            by_channel=scales or node.op_type == "BatchNormalization",
            averages=node.op_type in AVERAGES,
        )


def _kernel(path: Path, node: Any, constants: dict[str, Any]) -> Kernel:
    """(out,in/group,h,w), transposed (in,out/group,h,w), or slopes (C,1,1), as Keras has it."""
    values = _values(path, node.input[1] if len(node.input) > 1 else "", constants)
    if node.op_type == "PRelu":
        return Kernel(form="slopes", values=values.reshape(1, 1, -1, 1), bias=np.zeros(values.size, np.float32))
    out = values.shape[1 if node.op_type == "ConvTranspose" else 0] if values.ndim > 1 else 0
    bias = _values(path, node.input[2], constants) if len(node.input) > 2 and node.input[2] else np.zeros(out, np.float32)
    group = next((item.i for item in node.attribute if item.name == "group"), 1)
    if values.ndim != 4:
        raise InputError(f"{path}: the kernel {node.input[1]!r} has {values.ndim} dimensions; a picture's has 4")
    if node.op_type == "ConvTranspose":
        return Kernel(form="transposed", values=values.transpose(2, 3, 1, 0), bias=bias)
    if group > 1 and values.shape[1] == 1 and not values.shape[0] % group:
        grouped = values.reshape(group, -1, *values.shape[2:])  # in,multiplier,h,w
        return Kernel(form="depthwise", values=grouped.transpose(2, 3, 0, 1), bias=bias)
    return Kernel(values=values.transpose(2, 3, 1, 0), bias=bias)


def _values(path: Path, name: str, constants: dict[str, Any]) -> Float32:
    """A constant's values."""
    onnx = require("onnx", extra="onnx")
    tensor = constants.get(name)
    if tensor is None:
        raise InputError(f"{path}: the weights {name!r} are computed, not constant; give the float file, simplified (onnxsim) if need be")
    if tensor.data_type not in [getattr(onnx.TensorProto, kind) for kind in DTYPES]:
        raise InputError(f"{path}: the weights {name!r} are of type {tensor.data_type}; allowed: {', '.join(DTYPES)}; give the float file")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise InputError(f"{path}: the weights {name!r} lie in another file; export the net into one file")
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor), np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({one_line(error)}); copy it again or export it again") from error
