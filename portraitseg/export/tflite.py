"""Deploy graph -> .tflite, in five precisions."""

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
from portraitseg.quantization.post_training.quantize import Recipe, to_int8, to_int16x8
from portraitseg.quiet import quiet

IO = {"uint8": tf.uint8, "int8": tf.int8, "float": tf.float32}
ENDS = {"int8": ("uint8", "int8", "float"), "int16x8": ("float", "int16")}
"""Data types of input and output that an integer file may have."""


def convert(
    model: keras.Model, quant: str, *, calibration: CalibrationSet | None = None, io: str | None = None, recipe: Recipe | None = None
) -> bytes:
    """Convert a deploy graph.

    Args:
        model: (1,H,W,C) -> prob, as `deploy.to_deploy` gives it.
        quant: "fp32"; "fp16": weights in half precision; "dynamic": int8 weights, activations quantized while running;
            "int8": weights and activations int8, ranges from `calibration`; "int16x8": the activations int16, as no delegate takes them.
        calibration: needed by int8 and int16x8.
        io: data type of their input and output, one of ENDS, by default the first. The others have float ones.
        recipe: how int8's ranges are found, and what is done to the weights before.

    Returns:
        The file's content.

    Raises:
        InputError: unknown quant or io, no calibration set where one is needed, or the recipe names a layer that is not there.
    """
    io = io or ENDS.get(quant, ("float",))[0]
    _check(quant, io, calibration)
    converter = _converter(model)
    if quant in ("fp16", "dynamic"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quant == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    with quiet() as terminal:
        content = bytes(converter.convert())
        pictures = _Shown(calibration, terminal)
        if quant == "int8":
            return to_int8(content, pictures, recipe or Recipe(), io=io)
        return to_int16x8(content, pictures, io=io) if quant == "int16x8" else content


def check_int8(report: Report, card: Card, *, io: str, kept: bool = False) -> None:
    """Refuse an int8 file that is not full integer (unless layers were `kept` float), or whose input is not the picture's raw bytes.

    Raises:
        InputError: with what was found and the remedy.
    """
    if report.float_tensors and not kept:
        raise InputError(
            f"int8 must be full integer, but {len(report.float_tensors)} float tensors are left ({', '.join(report.float_tensors[:5])}): "
            "the net has an op without an int8 kernel; replace it, or export with --quant fp16 or dynamic"
        )
    if io == "float":
        return
    if kept and report.input.dtype == "float32":
        raise InputError(
            "a layer that takes the picture itself is to stay float, so bytes cannot go in; leave it out or export with --io float"
        )
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
    if quant in ENDS and io not in ENDS[quant]:
        raise InputError(f"unknown io {io!r}; choose one of {', '.join(ENDS[quant])}")
    if quant in ENDS and not calibration:
        raise InputError(f"{quant} needs pictures to calibrate with; give a folder with pictures: --data DIR")


def _converter(model: keras.Model) -> Any:
    """A converter of the bare function, with signature image -> prob: from_keras_model traces every layer once more, twice as slow."""
    module = tf.Module()
    module.held = model.variables
    spec = tf.TensorSpec(model.input_shape, tf.float32, name="image")
    function = tf.function(lambda image: {"prob": model(image, training=False)}, input_signature=[spec])
    return tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)


class _Shown:
    """The calibration set with a progress bar."""

    def __init__(self, calibration: CalibrationSet | None, terminal: Any) -> None:
        self.calibration, self.terminal = calibration, terminal

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        return iter(tqdm(self.calibration, desc="calibrating", unit="picture", file=self.terminal))
