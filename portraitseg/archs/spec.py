"""What the rest of the toolkit may know of an arch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from portraitseg.card import SYMMETRIC, InputSpec
from portraitseg.layers import KerasTensor


class Heads(NamedTuple):
    """What a builder with training-only outputs returns."""

    logits: KerasTensor
    """(N,H,W,classes)."""
    aux: Mapping[str, KerasTensor]
    """Training-only logits by name, (N,H,W,classes): "boundary" is fitted to the mask's edge, every other to the mask itself."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A configuration whose parameters were counted in the original's file or code."""

    wm: float
    folded: int | None = None
    """Parameters after batch normalisation is folded into the convolutions, training-only heads dropped."""
    training: int | None = None
    """Parameters of the training model, batch-norm statistics and training-only heads included."""
    trainable: int | None = None
    """The same without batch-norm statistics."""
    options: Mapping[str, Any] = field(default_factory=dict)
    channels: int = 3
    classes: int = 1
    size: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ArchSpec:
    """One line of ARCHS."""

    builder: Callable[..., Any]
    """(input tensor, *, wm, classes, **options) -> logits tensor (N,H,W,classes), or `Heads`."""
    size: int
    """Default height and width in pixels."""
    paper: str
    wm: float = 1.0
    """Default width multiplier."""
    encoder: str = ""
    """Name in ENCODERS, for pretrained weights; empty where the arch has no such encoder, or an option "encoder" names it."""
    input: InputSpec | None = SYMMETRIC
    """None: as the encoder that the option names wants it."""
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The builder's further options: name -> allowed values, the default first."""
    published: tuple[Published, ...] = ()
