"""One picture to score, in the forms that the metrics take; each form is made once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from portraitseg.errors import InputError

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """A prob (H,W) in [0,1] and the mask (H,W), 0 to 255, that it is compared with."""

    prob: Float32
    mask: UInt8

    @cached_property
    def found(self) -> UInt8:
        """0/1 (H,W): person where the prob is above 0.5."""
        return (self.prob > 0.5).astype(np.uint8)

    @cached_property
    def truth(self) -> UInt8:
        """0/1 (H,W): person where the mask is above 127."""
        return (self.mask > 127).astype(np.uint8)

    @cached_property
    def alpha(self) -> Float32:
        """The mask as soft opacity (H,W) in [0,1]."""
        return self.mask.astype(np.float32) / np.float32(255)


def refuse_nan(name: str, prob: Float32) -> None:
    """Refuse the prob (H,W) of the picture `name` if it holds NaN.

    Raises:
        InputError: it does.
    """
    if np.isnan(prob).any():
        raise InputError(f"the model's output for {name} holds NaN; its weights are broken or its input has another range")
