"""The ends of a net, whatever library runs it: which input is the picture, which output the mask, and how their numbers are meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.image import Array, Float32

NHWC, NCHW = "nhwc", "nchw"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of a net."""

    name: str
    shape: tuple[int, ...]
    """-1 where a side is not fixed."""
    dtype: npt.DTypeLike
    scale: float = 0.0
    zero_point: float = 0
    """value = scale * (stored - zero_point); scale 0: not quantized."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The input that takes the picture."""

    tensor: Tensor
    layout: str
    """NHWC or NCHW."""
    shape: tuple[int, int, int]
    """(h,w,C), whatever the layout."""


@dataclass(frozen=True, kw_only=True)
class Mask:
    """The output that gives the mask."""

    index: int
    """Of the output, among all."""
    tensor: Tensor
    layout: str
    """NHWC or NCHW, with or without the axes of length 1."""
    shape: tuple[int, int, int]
    """(h,w,classes), whatever the layout."""


def picture_input(inputs: Sequence[Tensor], path: Path) -> Picture:
    """The one input, [1,height,width,3 or 4] or [1,3 or 4,height,width]; the batch may be open.

    Raises:
        InputError: there are several inputs, or the one is no picture of a fixed size.
    """
    if len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].shape[0] in (1, -1) and min(inputs[0].shape[1:]) > 0:
        for layout in (NHWC, NCHW):
            height, width, channels = _hwc(inputs[0].shape, layout)
            if channels in (3, 4):
                return Picture(tensor=inputs[0], layout=layout, shape=(height, width, channels))
    raise InputError(
        f"{path} must take one picture [1,height,width,3 or 4] or [1,3 or 4,height,width] of a fixed size, but takes "
        f"{_shapes(inputs)}; export it so"
    )


def mask_output(outputs: Sequence[Tensor], picture: Picture, path: Path) -> Mask:
    """The first output that can be a mask: in the picture's layout, the other one, or flattened.

    Raises:
        InputError: no output has one or two classes.
    """
    height, width, _ = picture.shape
    for index, tensor in enumerate(outputs):
        for layout in sorted((NHWC, NCHW), key=lambda layout: layout != picture.layout):
            if len(tensor.shape) == 4 and tensor.shape[0] in (1, -1) and min(tensor.shape[1:]) > 0:
                shape = _hwc(tensor.shape, layout)
                if shape[2] in (1, 2):
                    return Mask(index=index, tensor=tensor, layout=layout, shape=shape)
        classes, rest = divmod(int(np.prod([side for side in tensor.shape if side != -1])), height * width)
        if classes in (1, 2) and not rest:
            return Mask(index=index, tensor=tensor, layout=picture.layout, shape=(height, width, classes))
    raise InputError(f"{path} must give one or two classes for each of its {height}x{width} pixels, but gives {_shapes(outputs)}")


def check_card(path: Path, card: Card, picture: Picture, mask: Mask) -> None:
    """Compare the ends with the card, and refuse data types that cannot be fed.

    Raises:
        InputError: a tensor is neither float32 nor an integer with a scale, or not what the card says.
    """
    for tensor in (picture.tensor, mask.tensor):
        if tensor.dtype not in (np.float32, np.uint8, np.int8, np.int16) or (tensor.dtype != np.float32 and not tensor.scale > 0):
            name = np.dtype(tensor.dtype).name
            raise InputError(
                f"{path}: tensor {tensor.name!r} is {name}, scale {tensor.scale}; allowed: float32, and uint8, int8 or int16 with a scale"
            )
    came = (*picture.shape, mask.shape[2], picture.layout)
    said = (*card.size, card.channels, card.classes, card.layout)
    if came != said:
        what = "height, width, channels, classes, layout"
        raise InputError(f"{path} has {what} {came}, its card says {said}; is this the card of another file?")


def to_layout(x: Array, layout: str) -> Array:
    """(h,w,C) -> (1,h,w,C) or (1,C,h,w), contiguous."""
    return np.ascontiguousarray((x if layout == NHWC else x.transpose(2, 0, 1))[None])


def from_layout(values: Array, mask: Mask) -> Array:
    """What the net gives, of any of the shapes that `mask_output` admits -> (h,w,classes); a view."""
    height, width, classes = mask.shape
    if mask.layout == NHWC:
        return values.reshape(mask.shape)
    return values.reshape(classes, height, width).transpose(1, 2, 0)


def quantize(values: Float32, tensor: Tensor) -> Array:
    """Real values -> the numbers of a tensor: themselves if it is float, else value / scale + zero point, rounded."""
    if tensor.dtype == np.float32:
        return values
    limits = np.iinfo(tensor.dtype)  # 8-bit: `check_card` admits no other
    return np.asarray(np.clip(np.round(values / tensor.scale + tensor.zero_point), limits.min, limits.max), tensor.dtype)


def dequantize(numbers: Array, tensor: Tensor) -> Float32:
    """The inverse of `quantize`, but for the rounding."""
    values = np.asarray(numbers, np.float32)
    return values if tensor.dtype == np.float32 else np.asarray((values - tensor.zero_point) * tensor.scale, np.float32)


def byte_table(tensor: Tensor, card: Card) -> Array | None:
    """How the bytes of a picture become the numbers of an input tensor, without any arithmetic at run time.

    Of a float tensor they are (byte - mean) / std, of an 8-bit one that, quantized. But where the card's io says that the tensor is made
    of raw bytes (less 128 for int8), and its scale is 1 / std and its zero point the mean to within one step, every byte is its own number:
    rounding would only lose bits, since with a mean of 127.5, which no zero point can be, every byte falls between two numbers.

    Returns:
        (1,256,3), channels in the card's order, or (1,256,1) where they are alike; None for a net with a prior, which is no byte.
    """
    kind: np.dtype[Any] = np.dtype(tensor.dtype)
    if card.channels != 3:
        return None
    steps = np.arange(256, dtype=np.float32)[:, None]  # 256,1
    mean, std = (np.asarray(values, np.float32) for values in (card.input.mean, card.input.std))
    if kind == np.float32:
        return _one_if_alike(np.asarray((steps - mean) / std, np.float32))
    # 256,3; written like the usual x / 127.5 - 1, since at the bytes that fall between two numbers the float rounding decides
    table = quantize(steps / std - mean / std, tensor)
    raw = steps + np.iinfo(kind).min
    if card.io == kind.name and np.abs(table - raw).max() <= 1:
        table = np.repeat(raw, 3, axis=1).astype(kind)
    return _one_if_alike(table)


def _one_if_alike(table: Array) -> Array:
    """(256,3) -> (1,256,3), or (1,256,1) of three columns that are alike: looked up in half the time."""
    return table[None, :, :1].copy() if np.array_equal(table, table[:, :1].repeat(3, 1)) else table[None]


def _hwc(shape: tuple[int, ...], layout: str) -> tuple[int, int, int]:
    return (shape[1], shape[2], shape[3]) if layout == NHWC else (shape[2], shape[3], shape[1])


def _shapes(tensors: Sequence[Tensor]) -> str:
    return ", ".join(str(list(tensor.shape)) for tensor in tensors) or "none"
