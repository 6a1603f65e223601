"""The card: a JSON file beside every checkpoint and artifact that says what it is and how to feed it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from portraitseg import __version__
from portraitseg.errors import InputError
from portraitseg.files import atomic

UNNAMED = ("half_pixel",)
"""Option values that a file's name leaves out: what any reader takes for granted."""
QUANTS = ("fp32", "fp16", "dynamic", "int8", "int16x8")
EMBEDDED = "portraitseg_card"
"""Under this name an artifact's own metadata holds its card too, but for `sha256`, which is of the whole file."""
MAX_BYTES = 2**20
"""Of a card; those that we write have two thousand, ten thousand where `measured` is filled."""
FEEDING = ("arch", "wm", "size", "input", "options", "channels", "classes", "fit", "output", "quant", "layout", "io")
"""What two cards of one artifact have to agree on: what the net is, and how it is fed and read."""

MAPPINGS = ("options", "metrics", "training", "calibration", "made", "measured")
TEXTS = ("arch", "fit", "output", "quant", "io", "licence", "use", "limits", "sha256", "version")
"""The fields that are mappings, and those that are text."""


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How raw bytes become a net's input: x = (byte - mean) / std, channel by channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    order: str = "rgb"
    """Channel order that the net expects: "rgb" or "bgr"; mean and std are in that order."""


UNIT = InputSpec(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))  # [0, 1]
SYMMETRIC = InputSpec(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))  # [-1, 1]
RAW = InputSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # [0, 255]
CAFFE = InputSpec(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), order="bgr")  # keras.applications' ResNet50
IMAGENET = InputSpec(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a checkpoint or an artifact is.

    Everything needed to rebuild the net (`arch`, `wm`, `size`, `options`) and to prepare a picture for it (`size`, `input`, `fit`).
    """

    arch: str
    wm: float
    size: tuple[int, int]
    """Height and width of the input in pixels."""
    input: InputSpec
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the arch's builder, such as {"decoder": "deconv"}."""
    channels: int = 3
    classes: int = 1
    """Channels of the output: 1, or 2 where channel 1 is the person."""
    fit: str = "stretch"
    """How a picture is made to fit `size`: "stretch" or "letterbox"."""
    output: str = "logits"
    """What the net gives: "logits" (checkpoints) or "prob" (artifacts)."""
    quant: str = "fp32"
    layout: str = "nhwc"
    """Order of the axes of input and output: "nhwc" (batch, height, width, channels) or "nchw"."""
    io: str = "float32"
    """Data type of an artifact's input and output: "float32", "uint8" or "int8"."""
    data: tuple[str, ...] = ()
    """Names of the data sets that the weights were fitted to."""
    licence: str = "not stated"
    metrics: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    """The settings of the run, in a checkpoint's card with the folder of its data as "data" and "val"."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """How the ranges of an int8 artifact were found."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """How the weights came to be: "commands" that make them again, one after the other, "hours" of all of them and the last one's
    "hardware". Of paths the last part alone; a teacher's own making is in its own card."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """What `portraitseg benchmark --publish` found out about the artifact, see `publish.measured.Measured`."""
    use: str = ""
    """What the model is for."""
    limits: str = ""
    """What it cannot do."""
    sha256: str = ""
    """Of an artifact's file, in hexadecimal digits; a file that was damaged on its way is refused."""
    version: str = __version__

    @property
    def name(self) -> str:
        """File stem by convention, height x width: munet_mnv3-wm050-224, munet_mnv2_bilinear-wm050-144x256, slim_net-wm100-512-prior."""
        height, width = self.size
        size = f"{height}" if height == width else f"{height}x{width}"
        arch = "_".join([self.arch, *(str(value) for value in self.options.values() if value not in UNNAMED)])
        prior = "-prior" if self.channels == 4 and self.output in ("logits", "prob") else ""  # a harmonizer's fourth channel is the mask
        return f"{arch}-wm{round(self.wm * 100):03d}-{size}{prior}"

    def save(self, path: Path) -> None:
        """Write the card as JSON, whole or not at all."""
        with atomic(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """The card as text."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def embedded(self) -> bytes:
        """The card as it goes into the artifact itself, see `EMBEDDED`."""
        return replace(self, sha256="").to_json().encode()

    def differing(self, other: "Card") -> list[str]:
        """Names of the fields of `FEEDING` in which two cards differ."""
        return [name for name in FEEDING if getattr(self, name) != getattr(other, name)]

    @staticmethod
    def load(path: Path) -> "Card":
        """Read a card.

        Raises:
            InputError: the file is missing, is not JSON, lacks a field, or a field has a value that none can have.
        """
        try:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError as error:
            raise InputError(f"no card {path}; every checkpoint and artifact has its card (a .json file) beside it") from error
        except OSError as error:
            raise InputError(f"cannot read the card {path}: {error.strerror}; restore it or export the model again") from error
        return Card.parse(content, str(path))

    @staticmethod
    def parse(content: bytes, source: str) -> "Card":
        """Understand a card.

        Args:
            content: JSON.
            source: where it came from, for the message.

        Raises:
            InputError: as `load`.
        """
        try:
            if len(content) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            raw = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"cannot read the card {source}: {error}; restore it or export the model again") from error
        return _from_json(raw, source)


def card_path(model: Path) -> Path:
    """The card beside a checkpoint or an artifact: x.h5 -> x.json, x.tflite -> x.json; x.onnx -> x.onnx.json, and so on."""
    return model.with_suffix(".json") if model.suffix.lower() in (".h5", ".tflite") else model.with_name(f"{model.name}.json")


def _from_json(raw: Any, source: str) -> Card:
    known = {item.name for item in fields(Card)}
    try:
        values = {key: value for key, value in raw.items() if key in known}
        spec = values["input"]
        values["input"] = InputSpec(mean=_three(spec["mean"]), std=_three(spec["std"]), order=spec["order"])
        height, width = values["size"]
        values["size"] = (int(height), int(width))
        values["data"] = tuple(values.get("data", ()))
        return _checked(Card(**values))
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source} is not a portraitseg card ({error!r}); restore it or export the model again") from error


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _checked(card: Card) -> Card:
    """The card, if every field has a value that a card can have; else a ValueError or TypeError says which has not."""
    fine = {
        "wm": 0 < card.wm <= 4,
        "size": all(0 < side <= 2**15 for side in card.size),
        "input": all(map(math.isfinite, card.input.mean + card.input.std)) and all(card.input.std) and card.input.order in ("rgb", "bgr"),
        "channels": card.channels in (3, 4),
        "classes": card.classes in (1, 2),
        "layout": card.layout in ("nhwc", "nchw"),
        **{name: isinstance(getattr(card, name), Mapping) for name in MAPPINGS},
        **{name: isinstance(getattr(card, name), str) for name in TEXTS},
    }
    for name, good in fine.items():
        if not good:
            raise ValueError(f"{name} cannot be {getattr(card, name)!r}"[:200])
    return card
