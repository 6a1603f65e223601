"""Deploy graph -> ONNX by tf2onnx, and int8 by onnxruntime's static quantizer."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tf_keras as keras
from tqdm import tqdm

from portraitseg.export.function import IMAGE, PROB, function, signature
from portraitseg.image import Array
from portraitseg.optional import require
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.quiet import quiet

OPSET = 18
"""Of ONNX 1.13; onnxruntime reads it from 1.14 on (https://onnxruntime.ai/docs/reference/compatibility.html)."""


def write(model: keras.Model, path: Path, *, layout: str = "nhwc", calibration: CalibrationSet | None = None) -> None:
    """Write a deploy graph as an .onnx file.

    Args:
        model: (1,H,W,C) -> prob (1,H,W,classes), as `deploy.to_deploy` gives it.
        path: where to.
        layout: of input and output, "nhwc" or "nchw".
        calibration: pictures that set the ranges of an int8 file; None: float32.

    Raises:
        ImportError: tf2onnx or onnxruntime is not installed.
        ValueError: the net has an operation that ONNX has not; with the layer's name.
    """
    onnx = require("onnx", extra="onnx")
    onnx.save(_convert(model, layout), path)
    _check(onnx, path)
    if calibration is not None:
        _quantize(path, layout, calibration)
        _check(onnx, path)


def _convert(model: keras.Model, layout: str) -> Any:
    converter = require("tf2onnx.convert", extra="onnx")
    swapped = {"inputs_as_nchw": [IMAGE], "outputs_as_nchw": [PROB]} if layout == "nchw" else {}
    with quiet():
        return converter.from_function(function(model), input_signature=signature(model), opset=OPSET, **swapped)[0]


def _check(onnx: Any, path: Path) -> None:
    """The checker's verdict: tf2onnx leaves in what it cannot translate."""
    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(str(error)) from error


def _quantize(path: Path, layout: str, calibration: CalibrationSet) -> None:
    """Rewrite the file with 8-bit weights, one scale a channel, and 8-bit activations, whose ranges are the least and largest values.

    The operations stay float and stand between QuantizeLinear and DequantizeLinear, which onnxruntime merges; input and output stay
    float32. Both are unsigned: signed weights, onnxruntime's usual, saturate on x86 without VNNI
    (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html), where they cost twice the error.
    """
    quantization = require("onnxruntime.quantization", extra="onnx")
    prepare = require("onnxruntime.quantization.shape_inference", extra="onnx").quant_pre_process
    folded = path.with_suffix(".folded.onnx")
    with quiet() as terminal:
        prepare(path, folded, skip_symbolic_shape=True)
        reader = _Reader(tqdm(calibration, desc="calibrating", unit="picture", file=terminal), layout)
        quantization.quantize_static(
            folded, path, reader, quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QUInt8,
        )  # fmt: skip
    folded.unlink()


class _Reader:
    """The calibration set as onnxruntime wants it (CalibrationDataReader)."""

    def __init__(self, inputs: Iterable[Array], layout: str) -> None:
        self._inputs, self._layout = iter(inputs), layout

    def get_next(self) -> dict[str, Array] | None:
        """The next input by its name; None after the last."""
        x = next(self._inputs, None)
        if x is None:
            return None
        return {IMAGE: x if self._layout == "nhwc" else x.transpose(0, 3, 1, 2).copy()}
