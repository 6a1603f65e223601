"""Model files of other projects: they have no card, so one is made from their tensors and from what the user knows."""

import dataclasses
from collections.abc import Collection
from pathlib import Path

import numpy as np

from portraitseg.card import IMAGENET, RAW, SYMMETRIC, UNIT, Card, InputSpec
from portraitseg.errors import InputError
from portraitseg.image import to_input

RANGES = {"0..1": UNIT, "-1..1": SYMMETRIC, "0..255": RAW, "imagenet": IMAGENET}
ORDERS = ("rgb", "bgr")
OUTPUTS = ("auto", "prob", "logits")
FITS = ("stretch", "letterbox")


def foreign_card(path: Path, *, input_range: str, order: str = "rgb", output: str = "auto", fit: str = "stretch") -> Card:
    """A card for a .tflite that has none: size, channels and classes are read from its tensors.

    Args:
        path: the .tflite file.
        input_range: what 0 to 255 is scaled to: a name of RANGES.
        order: of the channels, "rgb" or "bgr".
        output: what the net gives: "prob", "logits" (a sigmoid follows, or with two classes a softmax), or "auto", which looks at
            the outputs for two pictures: numbers outside [0,1], or two classes that do not add up to 1, are logits.
        fit: "stretch" or "letterbox".

    Raises:
        InputError: a name is not one of those allowed, or the file cannot be run.
    """
    _check_name("input-range", input_range, RANGES)
    _check_name("channel-order", order, ORDERS)
    _check_name("output", output, OUTPUTS)
    _check_name("fit", fit, FITS)
    from portraitseg.runtime.tflite import mask_output, open_interpreter, picture_input

    interpreter = open_interpreter(path, threads=1)
    source = picture_input(interpreter, path)
    _, height, width, channels = (int(side) for side in source["shape"])
    card = Card(  # io stays float32, also for 8-bit tensors: they are fed by exact rounding, as other projects' own scripts do
        arch=path.stem,
        wm=1.0,
        size=(height, width),
        input=_ordered(RANGES[input_range], order),
        channels=channels,
        classes=mask_output(interpreter, path)[1][2],
        fit=fit,
        output="prob" if output == "auto" else output,
    )
    return dataclasses.replace(card, output=_look(path, card)) if output == "auto" else card


def _check_name(flag: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise InputError(f"--{flag} must be one of {', '.join(allowed)}, got {value!r}")


def _ordered(spec: InputSpec, order: str) -> InputSpec:
    return spec if order == "rgb" else InputSpec(mean=spec.mean[::-1], std=spec.std[::-1], order=order)


def _look(path: Path, card: Card) -> str:
    """Tell logits from probs by the outputs for a grey picture and for noise; 0.05 is left for 8-bit rounding."""
    from portraitseg.runtime.tflite import TFLite

    net = TFLite(path, card=card)
    noise = np.random.default_rng(0).integers(0, 256, (*card.size, 3), np.uint8)
    for picture in (noise, np.full_like(noise, 128)):
        output = net.raw(to_input(picture, card))
        beyond = output.min() < -0.05 or output.max() > 1.05
        if beyond or (card.classes == 2 and np.abs(output.sum(-1) - 1).max() > 0.05):
            return "logits"
    return "prob"
