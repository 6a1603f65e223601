"""The formats that a checkpoint can be exported to: what their files are called, which precisions they have, who writes them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portraitseg.errors import InputError, one_line

if TYPE_CHECKING:
    import tf_keras as keras

    from portraitseg.card import Card
    from portraitseg.quantization.calibration import CalibrationSet

    Writer = Callable[[keras.Model, Card, Path, CalibrationSet | None], None]


@dataclass(frozen=True, kw_only=True)
class Format:
    """What files of a format are like."""

    ending: str
    """Of the file's name, after the net and the precision; a SavedModel is a folder and has no suffix."""
    quants: tuple[Literal["fp32", "fp16", "dynamic", "int8", "int16x8"], ...]
    """The precisions that it has, the default first."""
    layouts: tuple[str, ...] = ("nhwc",)
    io: tuple[str, ...] = ("float",)
    """Data types of input and output that an int8 file may have, the default first."""


FORMATS = {
    "tflite": Format(ending=".tflite", quants=("int8", "int16x8", "fp32", "fp16", "dynamic"), io=("uint8", "int8", "float")),
    "mediapipe": Format(ending="-mediapipe.tflite", quants=("int8", "fp32", "fp16", "dynamic"), io=("uint8", "int8", "float")),
    "onnx": Format(ending=".onnx", quants=("fp32", "int8"), layouts=("nhwc", "nchw")),
    "openvino": Format(ending=".xml", quants=("fp32", "fp16")),
    "saved_model": Format(ending="-saved_model", quants=("fp32",)),
    "frozen": Format(ending=".pb", quants=("fp32",)),
}


def check(name: str, *, quant: str, layout: str, io: str | None) -> None:
    """Refuse what a format does not have.

    Raises:
        InputError: with what it has.
    """
    form = FORMATS[name]
    for flag, value, allowed in (("quant", quant, form.quants), ("layout", layout, form.layouts), ("io", io or form.io[0], form.io)):
        if value not in allowed:
            raise InputError(f"--format {name} has --{flag} {' or '.join(allowed)}, got {value}; choose one of them or another format")


def write(name: str, model: "keras.Model", card: "Card", path: Path, calibration: "CalibrationSet | None") -> None:
    """Write a deploy graph in a format other than .tflite.

    Args:
        name: of the format.
        model: (1,H,W,C) -> prob, as `deploy.to_deploy` gives it.
        card: says precision and layout.
        path: of the file, for "saved_model" of the folder, which must not exist.
        calibration: for int8.

    Raises:
        InputError: the format's library cannot convert the graph.
        ImportError: it is not installed.
    """
    try:
        WRITERS[name](model, card, path, calibration)
    except (NotImplementedError, RuntimeError, ValueError) as error:  # which say the operation and, before it, the layer
        raise InputError(
            f"--format {name} cannot hold this net: {one_line(error)}; replace that layer, or choose another --format"
        ) from error


def _onnx(model: "keras.Model", card: "Card", path: Path, calibration: "CalibrationSet | None") -> None:
    from portraitseg.export import onnx

    onnx.write(model, path, layout=card.layout, calibration=calibration)


def _openvino(model: "keras.Model", card: "Card", path: Path, calibration: "CalibrationSet | None") -> None:
    from portraitseg.export import openvino

    openvino.write(model, path, half=card.quant == "fp16")


def _saved_model(model: "keras.Model", card: "Card", path: Path, calibration: "CalibrationSet | None") -> None:
    from portraitseg.export import saved_model

    saved_model.write(model, path)


def _frozen(model: "keras.Model", card: "Card", path: Path, calibration: "CalibrationSet | None") -> None:
    from portraitseg.export import frozen

    frozen.write(model, path)


WRITERS: "dict[str, Writer]" = {"onnx": _onnx, "openvino": _openvino, "saved_model": _saved_model, "frozen": _frozen}
