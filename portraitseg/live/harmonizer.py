"""A harmonizer net at work on frames: ours, which gives a colour filter, or any other's, which gives a picture."""

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from portraitseg.compose.harmonize import NUMBERS, colour_filter, filter_person
from portraitseg.compose.shrink import shrink
from portraitseg.errors import InputError, one_line
from portraitseg.image import Float32, UInt8
from portraitseg.live.picture_net import PictureNet
from portraitseg.runtime import cards, open_engine, probe
from portraitseg.runtime.base import Engine
from portraitseg.runtime.tensors import dequantize, quantize


class Harmonizer(Protocol):
    """Fits the person's colours to the background; opened by `open_harmonizer`."""

    def __call__(self, image: UInt8, alpha: UInt8, background: UInt8) -> UInt8:
        """RGB (H,W,3), alpha (H,W) and what will stand behind, RGB (H,W,3) -> RGB (H,W,3), right where alpha is not 0.

        Raises:
            InputError: the library fails on the file.
        """


def open_harmonizer(
    path: Path, *, threads: int = 2, strength: float = 1.0, every: int = 4, memory: float = 0.9, values: str = "0..1"
) -> Harmonizer:
    """Open a harmonizer by what its ends are.

    Args:
        path: a file of `portraitseg harmonizer` (.tflite), or an .onnx of any project, see `PictureNet`.
        threads: of the CPU, for the net itself.
        strength: share of the change that is applied, in [0,1].
        every: of how many frames the net sees one; the next ones take its filter too. Nets that give pictures see every frame.
        memory: share of the last frame's filter that goes into the next one's, in [0,1); 0 for unrelated pictures.
        values: of a net that gives pictures and takes floats: what 0 to 255 is scaled to, "0..1", "-1..1" or "0..255".

    Raises:
        InputError: the file is missing or broken, or no harmonizer.
        ImportError: an .onnx, and onnxruntime is not installed.
    """
    if path.suffix.lower() not in (".tflite", ".onnx"):
        raise InputError(f"a harmonizer is a .tflite or .onnx file, got {path}; `portraitseg harmonizer` makes one")
    card = cards.find(path) if path.exists() else None
    if path.exists() and path.suffix.lower() == ".tflite" and (card is None or not card.sha256):
        probe.check(path, "tflite")
    engine = open_engine(path, threads)
    if [end.shape[1:] for end in engine.outputs] == [(NUMBERS,)]:
        return FilterNet(path, engine, strength=strength, every=every, memory=memory)
    return PictureNet(path, engine, strength=strength, values=values)


class FilterNet:
    """Our net: it looks at a small composite and gives the numbers of a filter, smoothed over the frames."""

    def __init__(self, path: Path, engine: Engine, *, strength: float, every: int, memory: float) -> None:
        """See `open_harmonizer`.

        Raises:
            InputError: the input is no small composite with its mask.
        """
        (batch, height, width, channels), *more = [end.shape for end in engine.inputs]
        if more or (batch, channels) != (1, 4) or min(height, width) < 1:
            raise InputError(f"{path} is no harmonizer: it takes {[end.shape for end in engine.inputs]}, and not [(1, height, width, 4)]")
        self._path, self._engine, self.size = path, engine, (height, width)
        self.strength, self.every, self.memory = strength, every, memory
        self._wanted: Float32 | None = None
        self._numbers: Float32 | None = None
        self._count = 0

    def __call__(self, image: UInt8, alpha: UInt8, background: UInt8) -> UInt8:
        """See `Harmonizer`."""
        if self._wanted is None or self._count % self.every == 0:
            self._wanted = self.numbers(image, alpha, background)
        self._count += 1
        self._numbers = self._wanted if self._numbers is None else self._wanted + np.float32(self.memory) * (self._numbers - self._wanted)
        return filter_person(image, alpha, colour_filter(self._numbers, self.strength))

    def numbers(self, image: UInt8, alpha: UInt8, background: UInt8) -> Float32:
        """What the net gives for one frame, (33,)."""
        weight = shrink(alpha, self.size)
        composite = blended(shrink(image, self.size), weight, shrink(background, self.size))
        x = np.dstack([composite, weight])[None]
        source, target = self._engine.inputs[0], self._engine.outputs[0]
        fed = x if source.dtype == np.uint8 else quantize(x.astype(np.float32) / np.float32(255), source)
        try:
            return np.array(dequantize(self._engine(fed, 0), target)[0], np.float32)
        except Exception as error:  # each library has kinds of its own
            raise InputError(f"{self._path} opens, but cannot be run: {one_line(error)}; copy it again, or export it again") from error


def blended(image: UInt8, alpha: UInt8, background: UInt8) -> UInt8:
    """A small composite, RGB (h,w,3)."""
    weight = alpha * np.float32(1 / 255)
    return np.asarray(cv2.blendLinear(image, background, weight, 1 - weight), np.uint8)
