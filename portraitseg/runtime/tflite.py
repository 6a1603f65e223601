"""Artifacts for LiteRT (.tflite): float, or 8-bit by the tensors' own scales."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from portraitseg.card import Card, card_path
from portraitseg.errors import InputError
from portraitseg.image import Array, Float32, UInt8, resize, to_input
from portraitseg.runtime.base import as_input, person

Detail = dict[str, Any]  # what LiteRT says of a tensor

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every .tflite file (the flatbuffer's identifier)."""


class TFLite:
    """A .tflite file, opened: one picture tensor in, one or two classes out."""

    def __init__(self, path: Path, *, threads: int = 2, card: Card | None = None) -> None:
        """Open `path` with its own card, or with `card` for a file of another project.

        Raises:
            InputError: the file is no whole .tflite, there is no card, or the tensors are not what the card says.
        """
        if card is None and card_path(path).is_file():
            card = Card.load(card_path(path))
            _check_digest(path, card)
        self.interpreter = open_interpreter(path, threads=threads)
        self.card = _required(card, path)
        self._input = picture_input(self.interpreter, path)
        self._output, self._shape = mask_output(self.interpreter, path)
        _check(path, self.card, self._input, self._output, self._shape[2])
        self._table = byte_table(self._input, self.card)

    def __call__(self, image: UInt8) -> Float32:
        """See `Runtime`."""
        if self._table is None or self.card.fit != "stretch":  # a letterbox's border is no byte of the picture
            return self.run(to_input(image, self.card))
        return self.run(resize(image, self.card.size))

    def run(self, x: Float32 | UInt8) -> Float32:
        """See `Runtime`."""
        return person(self.raw(x), self.card)

    def raw(self, x: Float32 | UInt8) -> Float32:
        """Prepared input as in `run` -> the output tensor as float32 (h,w,classes), before any sigmoid or softmax."""
        self.interpreter.set_tensor(self._input["index"], self._to_tensor(x)[None])
        self.interpreter.invoke()
        return dequantize(self.interpreter.get_tensor(self._output["index"]), self._output).reshape(self._shape)

    def _to_tensor(self, x: Float32 | UInt8) -> Array:
        if x.dtype != np.uint8 or self._table is None:
            return quantize(as_input(x, self.card), self._input)
        ordered = x[..., ::-1] if self.card.input.order == "bgr" else x
        return np.asarray(cv2.LUT(ordered, self._table))


def open_interpreter(path: Path, *, threads: int) -> Any:
    """Open with XNNPACK, or, where it refuses the graph, with the built-in kernels and a notice on stderr.

    LiteRT checks the structure of the file itself (truncated files and random bytes raise), so only the identifier is looked at here.

    Returns:
        An `Interpreter` whose tensors are allocated.

    Raises:
        InputError: the file is no whole .tflite, or holds operators that LiteRT does not have.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a .tflite file") from error
    if head[4:] != IDENTIFIER:
        raise InputError(f'{path} is not a .tflite file: bytes 4 to 8 must be "TFL3", got {head[4:]!r}; copy it again or export again')
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        try:
            interpreter = Interpreter(str(path), num_threads=threads)
            interpreter.allocate_tensors()
        except RuntimeError as refusal:
            interpreter = Interpreter(str(path), num_threads=threads, experimental_op_resolver_type=plain)
            interpreter.allocate_tensors()
            print(f"notice: XNNPACK refuses {path.name}; the slower built-in kernels run it ({_line(refusal)})", file=sys.stderr)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"LiteRT cannot open {path}: {_line(error)}; copy it again, export again, or give the file from before the Edge TPU's compiler"
        ) from error
    return interpreter


def picture_input(interpreter: Any, path: Path) -> Detail:
    """The one input tensor, [1,height,width,3 or 4].

    Raises:
        InputError: there are several inputs, or the one is no picture of a fixed size.
    """
    details = interpreter.get_input_details()
    shape = list(details[0]["shape"])
    fixed = len(shape) == 4 and shape[0] == 1 and shape[3] in (3, 4) and min(details[0]["shape_signature"][1:]) > 0
    if len(details) != 1 or not fixed:
        found = ", ".join(str([int(side) for side in detail["shape_signature"]]) for detail in details)
        raise InputError(f"{path} must take one picture [1,height,width,3 or 4] of a fixed size, but takes {found}; export it so")
    return dict(details[0])


def mask_output(interpreter: Any, path: Path) -> tuple[Detail, tuple[int, int, int]]:
    """The first output tensor that can be a mask, and its height, width and classes; flattened ones count.

    Raises:
        InputError: no output has one or two classes.
    """
    _, height, width, _ = (int(side) for side in picture_input(interpreter, path)["shape"])
    details = interpreter.get_output_details()
    for detail in details:
        shape = [int(side) for side in detail["shape"]]
        if len(shape) == 4 and shape[0] == 1 and shape[3] in (1, 2):
            return dict(detail), (shape[1], shape[2], shape[3])
        classes, rest = divmod(int(np.prod(shape)), height * width)
        if classes in (1, 2) and not rest:
            return dict(detail), (height, width, classes)
    found = ", ".join(str([int(side) for side in detail["shape"]]) for detail in details)
    raise InputError(f"{path} must give one or two classes for each of its {height}x{width} pixels, but gives {found}")


def quantize(values: Float32, detail: Detail) -> Array:
    """Real values -> the numbers of a tensor: themselves if it is float, else value / scale + zero point, rounded."""
    dtype = detail["dtype"]
    if dtype == np.float32:
        return values
    scale, zero = detail["quantization"]
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.round(values / scale + zero), limits.min, limits.max), dtype)


def dequantize(numbers: Array, detail: Detail) -> Float32:
    """The inverse of `quantize`, but for the rounding."""
    values = np.asarray(numbers, np.float32)
    if detail["dtype"] == np.float32:
        return values
    scale, zero = detail["quantization"]
    return np.asarray((values - zero) * scale, np.float32)


def byte_table(detail: Detail, card: Card) -> Array | None:
    """How the bytes of a picture become the numbers of an 8-bit input tensor, without any float arithmetic at run time.

    Where the card's io says that the tensor is made of raw bytes (less 128 for int8), and its scale is 1 / std and its zero point the
    mean to within one step, every byte is its own number. Rounding would only lose bits: with a mean of 127.5, which no zero point
    can be, every byte falls between two numbers.

    Returns:
        (1,256,3), channels in the card's order; None for a float tensor.
    """
    kind = np.dtype(detail["dtype"])
    if kind == np.float32 or card.channels != 3:
        return None
    steps = np.arange(256, dtype=np.float32)[:, None]  # 256,1
    mean, std = (np.asarray(values, np.float32) for values in (card.input.mean, card.input.std))
    # 256,3; written like the usual x / 127.5 - 1, since at the bytes that fall between two numbers the float rounding decides
    table = quantize(steps / std - mean / std, detail)
    raw = steps + np.iinfo(detail["dtype"]).min
    if card.io == kind.name and np.abs(table - raw).max() <= 1:
        table = np.repeat(raw, 3, axis=1).astype(kind)
    return table[None]


def _check_digest(path: Path, card: Card) -> None:
    """Refuse a file that is not the one its card was written for, before LiteRT reads it: a flipped byte can crash the process."""
    if card.sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != card.sha256:
        raise InputError(f"{path} is damaged, or {card_path(path).name} is the card of another file (SHA-256 differs); copy both again")


def _required(card: Card | None, path: Path) -> Card:
    if card is None:
        raise InputError(
            f"{path} has no card ({card_path(path).name} beside it), so its input range is not known; "
            "copy the card too, or for a model of another project say --input-range 0..1, -1..1, 0..255 or imagenet"
        )
    return card


def _check(path: Path, card: Card, source: Detail, output: Detail, classes: int) -> None:
    """Compare the tensors with the card, and refuse data types that cannot be fed."""
    for detail in (source, output):
        kind, scale = detail["dtype"], detail["quantization"][0]
        if kind not in (np.float32, np.uint8, np.int8) or (kind != np.float32 and not scale > 0):
            name = np.dtype(kind).name
            raise InputError(
                f"{path}: tensor {detail['name']!r} is {name}, scale {scale}; allowed are float32, and uint8 or int8 with a scale"
            )
    came = (*(int(side) for side in source["shape"][1:]), classes)
    said = (*card.size, card.channels, card.classes)
    if came != said:
        raise InputError(f"{path} has height, width, channels, classes {came}, its card says {said}; is this the card of another file?")


def _line(error: BaseException) -> str:
    """The message in one line."""
    return " ".join(str(error).split())
