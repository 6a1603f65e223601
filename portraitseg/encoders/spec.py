"""What a decoder may know of an encoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from portraitseg.card import SYMMETRIC, InputSpec
from portraitseg.layers import KerasTensor


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """One line of ENCODERS."""

    builder: Callable[..., Mapping[str, KerasTensor]]
    """(input tensor (N,H,W,C), *, wm) -> tensors by layer name; every layer's name starts with "enc_"."""
    taps: tuple[str, str, str, str]
    """Skips at 1/2, 1/4, 1/8, 1/16."""
    last: str
    """The deepest features, at 1/32."""
    input: InputSpec = SYMMETRIC
    """The range that its pretrained weights expect."""
    application: Callable[..., Any] | None = None
    """(*, wm) -> the keras.applications model with ImageNet weights, or None where there is none."""
    file: str = ""
    """Name of the weights' file in ~/.keras/models, with {wm} for the width multiplier."""

    def features(self, x: KerasTensor, *, wm: float) -> list[KerasTensor]:
        """Tensors at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size of `x`."""
        tensors = self.builder(x, wm=wm)
        return [tensors[name] for name in (*self.taps, self.last)]
