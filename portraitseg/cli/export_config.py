"""What export can be asked for, and which of it goes together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from portraitseg.errors import InputError
from portraitseg.export import formats


@dataclass(frozen=True, kw_only=True)
class Config:
    """Turn a checkpoint into a file that ships, and name it only if it says what the checkpoint says."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The checkpoint (.h5), its card beside it."""
    quant: Literal["auto", "fp32", "fp16", "dynamic", "int8", "int16x8"] = "auto"
    """fp16: half-precision weights; dynamic: int8 weights; int8: full integer, by pictures; int16x8: int8 weights and int16 activations,
    more exact, but no delegate takes them, so many times slower; auto: int8 for .tflite, else fp32."""
    io: Literal["uint8", "int8", "int16", "float"] | None = None
    """Input and output of an int8 file: uint8 (the default, so that a picture's raw RGB bytes are the input), int8 or float; of an int16x8
    file: float or int16. The others have float ones."""
    format: Literal["tflite", "mediapipe", "onnx", "openvino", "saved_model", "frozen"] = "tflite"
    """mediapipe: a .tflite that MediaPipe Tasks' ImageSegmenter takes, with labels and normalisation; LiteRT takes it too. openvino: an
    .xml with its .bin. saved_model: a folder. frozen: a TensorFlow graph (.pb)."""
    layout: Literal["nhwc", "nchw"] = "nhwc"
    """Order of the axes of an ONNX file's input and output: batch, height, width, channels, or the channels before height and width."""
    target: Literal["cpu", "plain", "edgetpu"] = "cpu"
    """cpu: the same function in the operations that XNNPACK runs fastest; plain: as built, for accelerators that know few; edgetpu: in
    those that Coral's compiler maps, refused if some are left to the CPU (int8 alone; see `portraitseg delegates`)."""
    data: Path | None = None
    """Folder or CSV to calibrate on, its validation part to compare on (default: the training set that the card names)."""
    val: Path | None = None
    """Folder or CSV to compare on (default: the validation part of the data)."""
    calibration: Literal["minmax", "moving-average", "percentile", "mse", "entropy"] = "percentile"
    """What an int8 tensor's range holds. percentile: 99.99% of the values; minmax: all; moving-average: averages of every picture's ends;
    mse: what gives the least squared error; entropy: what keeps most of the distribution (Kullback-Leibler)."""
    equalise: Literal["on", "off"] = "on"
    """Cross-layer equalisation: scale channels of consecutive layers before int8, so that rounding adds least noise; the function stays the
    same."""
    rounding: Literal["gptq", "nearest"] = "gptq"
    """Of int8 weights. gptq: one after the other, those to come making up for the error on the calibration pictures, and what is left on
    average comes off the bias; nearest: each to the nearest step."""
    keep_float: tuple[str, ...] = ()
    """Layers of an int8 file to leave float: the worst that `portraitseg quant-debug` finds. XNNPACK takes them in its stride, accelerators
    for integers alone do not; what it costs is measured and printed."""
    pictures: int = 128
    """Pictures to calibrate on, drawn so that they cover the training set."""
    held_out: int = 50
    """Held-out pictures on which the file is compared with the checkpoint."""
    seed: int = 0
    """Seed of both draws."""
    allow_drop: float | None = None
    """Accept a file that loses up to so many points of IoU, whatever the other tolerances say."""
    out: Path | None = None
    """Folder of the file (default: the checkpoint's)."""
    force: bool = False
    """Overwrite an existing file."""

    def check(self) -> None:
        """Refuse flags that do not go together, or are out of range.

        Raises:
            InputError: with what is allowed.
        """
        formats.check(self.format, quant=self.quant, layout=self.layout, io=self.io if self.quant == "int8" else None)
        ends = self.io_types
        if self.io is not None and self.io not in ends:
            integer = "int16x8" if self.io == "int16" else "int8"
            has = f"has {' or '.join(ends)} input and output"
            raise InputError(f"--io {self.io} needs --quant {integer}; a {self.quant} file {has}, leave --io out")
        if not self.by_recipe and (found := [flag for flag, value in self.recipe_flags.items() if value]):
            raise InputError(f"{', '.join(found)} needs --quant int8 of a .tflite file, got {self.quant}, {self.format}; leave it out")
        if self.target == "edgetpu" and (self.quant != "int8" or self.io == "float" or self.format in formats.WRITERS):
            came = f"--quant {self.quant}, --io {self.io_type}, --format {self.format}"
            raise InputError(
                f"--target edgetpu makes a .tflite of 8-bit integers throughout, got {came}; use --quant int8 --io uint8 or int8"
            )
        if self.pictures < 1 or self.held_out < 1:
            counts = f"{self.pictures} and {self.held_out}"
            raise InputError(f"--pictures and --held-out must be at least 1, got {counts}; the defaults are 128 and 50")
        if self.allow_drop is not None and not 0 <= self.allow_drop <= 100:
            raise InputError(f"--allow-drop is in points of IoU, 0 to 100, got {self.allow_drop}")

    @property
    def io_type(self) -> str:
        """Data type of the file's input and output."""
        return self.io or self.io_types[0]

    @property
    def io_types(self) -> tuple[str, ...]:
        """Data types that the file's input and output may have, the default first."""
        return {"int8": formats.FORMATS[self.format].io, "int16x8": ("float", "int16")}.get(self.quant, ("float",))

    @property
    def by_recipe(self) -> bool:
        """Whether the file is made by our own post-training quantization."""
        return self.quant == "int8" and self.format not in formats.WRITERS

    @property
    def recipe_flags(self) -> dict[str, bool]:
        """Flags of post-training quantization, and whether each differs from its default."""
        names = ("calibration", "equalise", "rounding", "keep_float")
        return {f"--{name.replace('_', '-')}": getattr(self, name) != getattr(type(self), name) for name in names}
