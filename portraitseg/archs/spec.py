"""What the rest of the toolkit may know of an arch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portraitseg.card import SYMMETRIC, InputSpec


@dataclass(frozen=True, kw_only=True)
class Published:
    """A configuration whose parameters were counted in the original's file or code."""

    wm: float
    folded: int
    """Parameters after batch normalisation is folded into the convolutions."""
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: int = 1
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ArchSpec:
    """One line of ARCHS."""

    builder: Callable[..., Any]
    """(input tensor, *, wm, classes, **options) -> logits tensor (N,H,W,classes)."""
    size: int
    """Default height and width in pixels."""
    wm: float
    """Default width multiplier."""
    encoder: str
    """Name in ENCODERS, for pretrained weights."""
    paper: str
    input: InputSpec = SYMMETRIC
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The builder's further options: name -> allowed values, the default first."""
    published: tuple[Published, ...] = ()
