"""OpenVINO's IR (.xml, its weights in the .bin beside it), run by the CPU plugin."""

from pathlib import Path
from typing import Any

import numpy as np

from portraitseg.errors import InputError, one_line
from portraitseg.image import Array
from portraitseg.optional import require
from portraitseg.parts import parts
from portraitseg.runtime.tensors import Tensor


class OpenVINO:
    """A compiled model. Input and output are shared with it, not copied."""

    def __init__(self, path: Path, threads: int) -> None:
        """See `open_engine`."""
        core = require("openvino", extra="openvino").Core()
        settings = {  # half-precision arithmetic, which some processors have, would be another net
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        }  # fmt: skip
        self.compiled = core.compile_model(core.read_model(path), "CPU", settings)
        self.inputs = [_tensor(port) for port in self.compiled.inputs]
        self.outputs = [_tensor(port) for port in self.compiled.outputs]
        self._request = self.compiled.create_infer_request()

    def __call__(self, x: Array, output: int) -> Array:
        """See `Engine`."""
        return np.asarray(self._request.infer([x], share_inputs=True, share_outputs=True)[output])


def open_engine(path: Path, threads: int) -> OpenVINO:
    """Open with OpenVINO.

    Raises:
        InputError: OpenVINO cannot read or run the file, or its .bin is missing.
        ImportError: OpenVINO is not installed.
    """
    _, weights = parts(path)
    try:
        return OpenVINO(path, threads)
    except (RuntimeError, ValueError, TypeError) as error:
        raise InputError(f"OpenVINO cannot open {path}: {one_line(error)}; copy it and {weights.name} again, or export again") from error


def _tensor(port: Any) -> Tensor:
    shape = tuple(side.get_length() if side.is_static else -1 for side in port.partial_shape)
    return Tensor(name=port.get_any_name(), shape=shape, dtype=port.element_type.to_dtype().type)
