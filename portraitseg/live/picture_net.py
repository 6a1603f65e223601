"""A harmonizer of any project: a net that takes a composite and its mask, and gives the composite harmonized."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from portraitseg.compose.harmonize import person_box
from portraitseg.compose.shrink import shrink
from portraitseg.errors import InputError, one_line
from portraitseg.image import Array, Float32, UInt8
from portraitseg.runtime.base import Engine
from portraitseg.runtime.onnx import Onnx
from portraitseg.runtime.tensors import NCHW, NHWC, Tensor, to_layout

RANGES = {"0..1": (0.0, 1 / 255), "-1..1": (-1.0, 2 / 255), "0..255": (0.0, 1.0)}
"""What 0 becomes, and what one step of a byte is worth."""
SURE = 0.97
"""Share of the person in a pixel of the small composite from which its change is the person's."""
SIDE = 256
"""Height and width that a net sees which takes any."""


class PictureNet:
    """Runs the net on a small composite and carries what it changed on the person to the full frame.

    The net has one input of 4 channels (RGB, then mask) or two, of 3 channels (composite) and 1 (mask), each (N,C,H,W) or (N,H,W,C),
    float or uint8, and its first output with 3 channels is the harmonized picture, of the same range. Masks of float are 0..1.
    """

    def __init__(self, path: Path, engine: Engine, *, strength: float = 1.0, values: str = "0..1") -> None:
        """See `harmonizer.open_harmonizer`.

        Raises:
            InputError: the ends are others, or `values` is not one of RANGES.
        """
        if values not in RANGES:
            raise InputError(f"values must be one of {', '.join(RANGES)}, got {values!r}")
        if not isinstance(engine, Onnx):
            raise InputError(f"{path} is no harmonizer: {_ends(engine.outputs)} is not (1, 33); `portraitseg harmonizer` makes one")
        self._path, self._engine, self.strength, self._range = path, engine, strength, RANGES[values]
        self._inputs = [(end, *_layout(end)) for end in engine.inputs]
        if sorted(channels for _, _, channels in self._inputs) not in ([4], [1, 3]):
            raise InputError(
                f"{path} takes {_ends(engine.inputs)}; a harmonizer takes one input of 4 channels (RGB and mask), or two, of 3 and of 1"
            )
        self._output = next((number for number, end in enumerate(engine.outputs) if _layout(end)[1] == 3), None)
        if self._output is None:
            raise InputError(f"{path} is no harmonizer: none of its outputs {_ends(engine.outputs)} has the 3 channels of a picture")
        self.size = _size(self._inputs[0][0], self._inputs[0][1])

    def __call__(self, image: UInt8, alpha: UInt8, background: UInt8) -> UInt8:
        """See `Harmonizer`."""
        box = person_box(alpha)
        if box is None:
            return image
        weight = shrink(alpha, self.size)
        share = weight * np.float32(1 / 255)
        composite = np.asarray(cv2.blendLinear(shrink(image, self.size), shrink(background, self.size), share, 1 - share), np.uint8)
        change = self.strength * (self._run(composite, weight) - composite)
        full = cv2.resize(_spread(change, share), alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
        out = image.copy()
        out[box] = cv2.add(image[box], full[box], dtype=cv2.CV_8U)
        return out

    def _run(self, composite: UInt8, weight: UInt8) -> Float32:
        """The harmonized composite (h,w,3), 0 to 255."""
        parts = {1: weight[..., None], 3: composite, 4: np.dstack([composite, weight])}
        feed = {end.name: to_layout(self._fed(parts[channels], end), layout) for end, layout, channels in self._inputs}
        output = self._engine.outputs[self._output or 0]
        try:
            result = np.asarray(self._engine.session.run([output.name], feed)[0])
        except Exception as error:  # onnxruntime has a dozen kinds of its own
            raise InputError(f"{self._path} opens, but cannot be run: {one_line(error)}; give a harmonizer of another size") from error
        picture = result[0].transpose(1, 2, 0) if _layout(output)[0] == NCHW else result[0]
        if picture.shape != composite.shape:
            raise InputError(f"{self._path} gives {picture.shape} for a composite of {composite.shape}; a harmonizer keeps the size")
        zero, step = self._range
        return np.asarray(picture if picture.dtype == np.uint8 else np.clip((picture - zero) / step, 0, 255), np.float32)

    def _fed(self, part: UInt8, end: Tensor) -> Array:
        """Bytes (h,w,C) as the tensor wants them."""
        if end.dtype == np.uint8:
            return part
        zero, step = self._range
        values = part.astype(np.float32) * np.float32(step) + np.float32(zero)
        if part.shape[2] in (1, 4):
            values[..., -1] = part[..., -1] / np.float32(255)
        return values.astype(end.dtype)


def _spread(change: Float32, share: Float32) -> Float32:
    """The change (h,w,3) where all is person, continued beyond: nets differ in what they do to the edge and the scene."""
    sure = (share > SURE).astype(np.float32)[..., None]
    blurred = cv2.GaussianBlur(np.dstack([change * sure, sure]), (0, 0), 2.0)
    around = blurred[..., :3] / (blurred[..., 3:] + np.float32(1e-3))
    return np.asarray(around + sure * (change - around), np.float32)


def _layout(end: Tensor) -> tuple[str, int]:
    """The order of a tensor's axes and its channels; 0 channels if it is no picture."""
    if len(end.shape) != 4:
        return NHWC, 0
    first, last = end.shape[1] in (1, 3, 4), end.shape[3] in (1, 3, 4)
    return (NHWC, end.shape[3]) if last and not first else (NCHW, end.shape[1]) if first else (NHWC, 0)


def _size(end: Tensor, layout: str) -> tuple[int, int]:
    height, width = end.shape[2:] if layout == NCHW else end.shape[1:3]
    return (height if height > 0 else SIDE), (width if width > 0 else SIDE)


def _ends(ends: Sequence[Any]) -> list[tuple[int, ...]]:
    return [end.shape for end in ends]
