"""Which net is trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class NetVariant:
    """What there is to choose of a net."""

    wm: float | None = None
    """Width multiplier (default: the arch's own)."""
    size: int | None = None
    """Height and width of the input in pixels, a multiple of 32 (default: the arch's own)."""
    encoder: str | None = None
    """Encoder, where the arch takes one: `portraitseg archs` lists them."""
    decoder: str | None = None
    """Decoder variant, where the arch has some."""
    up: str | None = None
    """How the decoder enlarges, where the arch has a choice."""
    act: str | None = None
    """Activation, where the arch has a choice."""
    resize: str | None = None
    """Where the decoder enlarges bilinearly: half_pixel (default), align_corners or transpose, for runtimes without the former."""
    channels: Literal[3, 4] = 3
    """Channels of the input: RGB, or RGB and the prior (the mask of the frame before)."""
    classes: Literal[1, 2] = 1
    """Output channels: one logit, or two of which channel 1 is the person."""

    @property
    def options(self) -> dict[str, Any]:
        """The arch's options that were given."""
        given = {name: getattr(self, name) for name in ("encoder", "decoder", "up", "act", "resize")}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class NetSettings(NetVariant):
    """The net, its variant and its start."""

    arch: str = "munet_mnv3"
    """The net: `portraitseg archs` lists them."""
    init: Path | None = None
    """A checkpoint (.h5) to start from, decoder too, such as one of a smaller size, of another decoder or without the prior channel;
    layers that it lacks, or has in another shape, start as without it, but the bottlenecks of a wider encoder are cut down, and a narrower
    net of the same arch is kept whole. A float .tflite or .onnx file of models/ serves as its checkpoint does; another project's must be of
    the same net."""
    pretrained: str | None = None
    """Encoder weights to start from: "imagenet", a Keras .h5 with its layer names, or a .tflite or .onnx that begins with the encoder."""
    pretrained_range: Literal["0..1", "-1..1", "0..255", "imagenet"] | None = None
    """Range of the RGB pictures that the weights were trained with (default: the encoder's usual one, or as a file's own card says)."""
