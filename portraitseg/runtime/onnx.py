"""ONNX files (.onnx), run by onnxruntime on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np

from portraitseg.errors import InputError, one_line
from portraitseg.image import Array
from portraitseg.optional import require
from portraitseg.runtime.tensors import Tensor

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}


class Onnx:
    """A session. Input and output are NumPy's own memory, bound once."""

    def __init__(self, path: Path, threads: int) -> None:
        """See `open_engine`."""
        self._ort = require("onnxruntime", extra="onnx")
        options = self._ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4  # what goes wrong is raised too
        self.session = self._ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"], enable_fallback=0)
        self.inputs = [_tensor(end) for end in self.session.get_inputs()]
        self.outputs = [_tensor(end) for end in self.session.get_outputs()]
        self._binding = self.session.io_binding()
        self._results = [self._bind(tensor) for tensor in self.outputs]

    def __call__(self, x: Array, output: int) -> Array:
        """See `Engine`."""
        self._binding.bind_ortvalue_input(self.inputs[0].name, self._ort.OrtValue.ortvalue_from_numpy(x))
        self.session.run_with_iobinding(self._binding)
        result = self._results[output]
        return np.asarray(self._binding.get_outputs()[output].numpy()) if result is None else result

    def _bind(self, tensor: Tensor) -> Array | None:
        """Memory for an output; None where its shape is not known before."""
        if min(tensor.shape, default=0) < 1:
            self._binding.bind_output(tensor.name)
            return None
        memory = np.zeros(tensor.shape, tensor.dtype)
        self._binding.bind_ortvalue_output(tensor.name, self._ort.OrtValue.ortvalue_from_numpy(memory))
        return memory


def open_engine(path: Path, threads: int) -> Onnx:
    """Open with onnxruntime.

    The file's bytes are given, not its name: then weights that it says are in other files are not looked for.

    Raises:
        InputError: onnxruntime cannot read or run the file.
        ImportError: onnxruntime is not installed.
    """
    try:
        return Onnx(path, threads)
    except ImportError:
        raise
    except Exception as error:  # onnxruntime has a dozen kinds of its own, with no common one but this
        raise InputError(f"onnxruntime cannot open {path}: {one_line(error)}; copy it again, or export it again") from error


def _tensor(end: Any) -> Tensor:
    sides = tuple(side if isinstance(side, int) and side > 0 else -1 for side in end.shape)  # an open side is a name, or None
    return Tensor(name=end.name, shape=sides, dtype=DTYPES.get(end.type, np.object_))
