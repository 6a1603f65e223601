"""Model files of other projects: they have no card, so one is made from their ends and from what the user knows."""

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from portraitseg.card import IMAGENET, RAW, SYMMETRIC, UNIT, Card, InputSpec
from portraitseg.errors import InputError
from portraitseg.image import to_input
from portraitseg.runtime.base import Artifact, Engine
from portraitseg.runtime.tensors import mask_output, picture_input

RANGES = {"0..1": UNIT, "-1..1": SYMMETRIC, "0..255": RAW, "imagenet": IMAGENET}
ORDERS = ("rgb", "bgr")
OUTPUTS = ("auto", "prob", "logits")
FITS = ("stretch", "letterbox")


def card_of(path: Path, open_engine: Callable[[], Engine], *, input_range: str, order: str, output: str, fit: str) -> Card:
    """See `runtime.foreign_card`; `open_engine` opens the file, once the names are found to be right."""
    _check_name("input-range", input_range, RANGES)
    _check_name("channel-order", order, ORDERS)
    _check_name("output", output, OUTPUTS)
    _check_name("fit", fit, FITS)
    engine = open_engine()
    picture = picture_input(engine.inputs, path)
    height, width, channels = picture.shape
    card = Card(  # io stays float32, also for 8-bit tensors: they are fed by exact rounding, as other projects' own scripts do
        arch=path.stem,
        wm=1.0,
        size=(height, width),
        input=_ordered(RANGES[input_range], order),
        channels=channels,
        layout=picture.layout,
        classes=mask_output(engine.outputs, picture, path).shape[2],
        fit=fit,
        output="prob" if output == "auto" else output,
    )
    return dataclasses.replace(card, output=_look(Artifact(path, engine, card))) if output == "auto" else card


def _check_name(flag: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise InputError(f"--{flag} must be one of {', '.join(allowed)}, got {value!r}")


def _ordered(spec: InputSpec, order: str) -> InputSpec:
    return spec if order == "rgb" else InputSpec(mean=spec.mean[::-1], std=spec.std[::-1], order=order)


def _look(net: Artifact) -> str:
    """Tell logits from probs by the outputs for a grey picture and for noise; 0.05 is left for 8-bit rounding."""
    noise = np.random.default_rng(0).integers(0, 256, (*net.card.size, 3), np.uint8)
    for picture in (noise, np.full_like(noise, 128)):
        output = net.raw(to_input(picture, net.card))
        beyond = output.min() < -0.05 or output.max() > 1.05
        if beyond or (net.card.classes == 2 and np.abs(output.sum(-1) - 1).max() > 0.05):
            return "logits"
    return "prob"
