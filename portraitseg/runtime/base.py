"""What every runtime is: a picture in, a prob out, at the model's size."""

from typing import Protocol

import numpy as np

from portraitseg.card import Card
from portraitseg.image import Array, Float32, UInt8, from_prob, to_input


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


def predict(runtime: Runtime, image: UInt8) -> Float32:
    """Prob (H,W) in [0,1] of an RGB picture (H,W,3), at the picture's own size."""
    return from_prob(runtime(image), (image.shape[0], image.shape[1]), runtime.card.fit)


def as_input(x: Float32 | UInt8, card: Card) -> Float32:
    """Bytes at the model's size become input in the card's range; what is input already stays."""
    return to_input(x.astype(np.uint8, copy=False), card) if x.dtype == np.uint8 else x.astype(np.float32, copy=False)


def person(output: Array, card: Card) -> Float32:
    """The person's prob (h,w) from a net's output (h,w,classes), which the card calls "logits" or "prob"."""
    if card.output == "prob":
        return np.ascontiguousarray(output[..., -1], np.float32)
    logits = output[..., 1] - output[..., 0] if card.classes == 2 else output[..., 0]
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), np.float32)  # the sigmoid, without overflow
