"""What every runtime is, a picture in, a prob out, at the model's size; and what surrounds the net, the same for all libraries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from portraitseg.card import Card
from portraitseg.errors import InputError, one_line
from portraitseg.image import Array, Float32, UInt8, from_prob, resize, to_input
from portraitseg.runtime.tensors import (
    Tensor,
    byte_table,
    check_card,
    dequantize,
    from_layout,
    mask_output,
    picture_input,
    quantize,
    to_layout,
)

RAW = np.arange(256, dtype=np.uint8)[None, :, None]
"""A table with which every byte is its own number, so that it need not be looked up."""


@runtime_checkable
class Runtime(Protocol):
    """A loaded model, whatever file it came from."""

    @property
    def card(self) -> Card:
        """What the model is and how it is fed."""

    def __call__(self, image: UInt8) -> Float32:
        """RGB picture (H,W,3) of any size -> prob (h,w) in [0,1], at the model's size, its fit not undone."""

    def run(self, x: Float32 | UInt8) -> Float32:
        """Prepared input -> prob (h,w).

        Args:
            x: float32 (h,w,C) as `image.to_input` gives it, or uint8 (h,w,3), an RGB picture already at the model's size.
        """


class Engine(Protocol):
    """A model file, opened by its library: all that differs from one to the next."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """All inputs, in the file's order."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """All outputs, in the file's order."""

    def __call__(self, x: Array, output: int) -> Array:
        """Feed the one input; give an output.

        Args:
            x: contiguous, in the tensor's shape and data type.
            output: which one.

        Returns:
            The output, maybe the library's own memory: it holds until the next call.
        """


class Artifact:
    """A `Runtime` of an engine: preparing the picture and reading the prob, written once."""

    def __init__(self, path: Path, engine: Engine, card: Card) -> None:
        """Find the picture and the mask among the engine's ends.

        Raises:
            InputError: there is none, or they are not what the card says.
        """
        self.engine, self.card, self._path = engine, card, path
        self.folder: object = None
        """What holds the files, where they were unpacked for this."""
        self.picture = picture_input(engine.inputs, path)
        self.mask = mask_output(engine.outputs, self.picture, path)
        check_card(path, card, self.picture, self.mask)
        self._table = byte_table(self.picture.tensor, card)
        self._is_raw = self._table is not None and np.array_equal(self._table, RAW)

    def __call__(self, image: UInt8) -> Float32:
        """See `Runtime`."""
        if self._table is None or self.card.fit != "stretch":  # a letterbox's border is no byte of the picture
            return self.run(to_input(image, self.card))
        return self.run(resize(image, self.card.size))

    def run(self, x: Float32 | UInt8) -> Float32:
        """See `Runtime`."""
        return person(self._values(x), self.card)

    def raw(self, x: Float32 | UInt8) -> Float32:
        """Prepared input as in `run` -> the output as float32 (h,w,classes), before any sigmoid or softmax.

        Raises:
            InputError: the library fails on the file.
        """
        return np.array(self._values(x))

    def tensor(self, x: Float32 | UInt8) -> Array:
        """Prepared input as in `run` -> what the engine is fed."""
        if x.dtype != np.uint8 or self._table is None:
            return to_layout(quantize(as_input(x, self.card), self.picture.tensor), self.picture.layout)
        ordered = x[..., ::-1] if self.card.input.order == "bgr" else x
        return to_layout(ordered if self._is_raw else np.asarray(cv2.LUT(ordered, self._table)), self.picture.layout)

    def _values(self, x: Float32 | UInt8) -> Float32:
        """As `raw`, but maybe the engine's own memory."""
        fed = self.tensor(x)
        try:
            return from_layout(dequantize(self.engine(fed, self.mask.index), self.mask.tensor), self.mask)
        except Exception as error:  # each library has kinds of its own; a file may open and fail only here
            raise InputError(f"{self._path} opens, but cannot be run: {one_line(error)}; copy it again, or export it again") from error


def predict(runtime: Runtime, image: UInt8) -> Float32:
    """Prob (H,W) in [0,1] of an RGB picture (H,W,3), at the picture's own size."""
    return from_prob(runtime(image), (image.shape[0], image.shape[1]), runtime.card.fit)


def as_input(x: Float32 | UInt8, card: Card) -> Float32:
    """Bytes at the model's size become input in the card's range; what is input already stays."""
    return to_input(x.astype(np.uint8, copy=False), card) if x.dtype == np.uint8 else x.astype(np.float32, copy=False)


def person(output: Array, card: Card) -> Float32:
    """The person's prob (h,w), in memory of its own, from a net's output (h,w,classes), which the card calls "logits" or "prob"."""
    if card.output == "prob":
        return np.array(output[..., -1], np.float32, order="C")
    logits = output[..., 1] - output[..., 0] if card.classes == 2 else output[..., 0]
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), np.float32)  # the sigmoid, without overflow
