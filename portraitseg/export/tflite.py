"""Deploy graph -> .tflite, in four precisions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from portraitseg.card import QUANTS, Card, InputSpec
from portraitseg.errors import InputError
from portraitseg.export.tflite_report import Report, Tensor
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.quiet import quiet

IO = {"uint8": tf.uint8, "int8": tf.int8, "float": tf.float32}


def convert(model: keras.Model, quant: str, *, calibration: CalibrationSet | None = None, io: str = "uint8") -> bytes:
    """Convert a deploy graph.

    Args:
        model: (1,H,W,C) -> prob, as `deploy.to_deploy` gives it.
        quant: "fp32"; "fp16": weights in half precision; "dynamic": int8 weights, activations quantized while running;
            "int8": weights and activations int8, ranges from `calibration`.
        calibration: needed by int8 alone.
        io: data type of the input and output of int8: "uint8", "int8" or "float". The others have float ones.

    Returns:
        The file's content.

    Raises:
        InputError: unknown quant or io, or int8 without a calibration set.
    """
    _check(quant, io, calibration)
    converter = _converter(model)
    if quant != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quant == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if quant == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = IO[io]
    with quiet() as terminal:
        if quant == "int8":
            converter.representative_dataset = lambda: _representative(calibration, terminal)
        return bytes(converter.convert())


def check_int8(report: Report, card: Card, *, io: str) -> None:
    """Refuse an int8 file that is not full integer, or whose input is not the picture's raw bytes.

    Raises:
        InputError: with what was found and the remedy.
    """
    if report.float_tensors:
        raise InputError(
            f"int8 must be full integer, but {len(report.float_tensors)} float tensors are left ({', '.join(report.float_tensors[:5])}): "
            "the net has an op without an int8 kernel; replace it, or export with --quant fp16 or dynamic"
        )
    if io == "float":
        return
    offset = -128 if io == "int8" else 0
    expected = byte_quantization(card.input)
    found = report.input
    if found.dtype != io or abs(found.scale / expected[0] - 1) > 1e-3 or abs(found.zero_point - offset - expected[1]) > 0.51:
        raise InputError(
            f"the input should be raw bytes ({io}, scale {expected[0]:.6g}, zero point {expected[1] + offset:g}), but the converter gave "
            f"{found.dtype}, scale {found.scale:.6g}, zero point {found.zero_point}; export with --io float"
        )
    if report.output != Tensor(dtype=io, scale=1 / 256, zero_point=offset):
        raise InputError(f"the output should be {io} with scale 1/256, but the converter gave {report.output}; export with --io float")


def byte_quantization(spec: InputSpec) -> tuple[float, float]:
    """Scale and zero point with which a picture's raw bytes are the input tensor: x = scale * (byte - zero point).

    A zero point is a whole number: for [-1,1], where it should be 127.5, the tensor lies half a step (1/255) beside `to_input`'s.

    Raises:
        InputError: the channels have different means or ranges, for which a tensor with one scale has no room.
    """
    if len({*spec.mean}) > 1 or len({*spec.std}) > 1:
        raise InputError(
            f"raw bytes can be the input only where all channels share one mean and one std, got mean {spec.mean} and std {spec.std}; "
            "export with --io float"
        )
    return 1 / spec.std[0], spec.mean[0]


def _check(quant: str, io: str, calibration: CalibrationSet | None) -> None:
    if quant not in QUANTS:
        raise InputError(f"unknown quant {quant!r}; choose one of {', '.join(QUANTS)}")
    if io not in IO:
        raise InputError(f"unknown io {io!r}; choose one of {', '.join(IO)}")
    if quant == "int8" and not calibration:
        raise InputError("int8 needs pictures to calibrate with; give a folder with pictures: --data DIR")


def _converter(model: keras.Model) -> Any:
    """A converter of the bare function, with signature image -> prob: from_keras_model traces every layer once more, twice as slow."""
    module = tf.Module()
    module.held = model.variables
    spec = tf.TensorSpec(model.input_shape, tf.float32, name="image")
    function = tf.function(lambda image: {"prob": model(image, training=False)}, input_signature=[spec])
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)


def _representative(calibration: CalibrationSet | None, terminal: Any) -> Iterator[list[npt.NDArray[np.float32]]]:
    for x in tqdm(calibration, desc="calibrating", unit="picture", file=terminal):
        yield [x]
