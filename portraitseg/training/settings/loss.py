"""What a run minimises."""

from dataclasses import dataclass
from typing import Literal

from portraitseg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Losses and their weights."""

    loss: str = "bce=1,dice=0.5,laplacian=0.5"
    """Weighted sum of losses: bce, dice, iou, l1, focal, tversky, lovasz, boundary_rmse, detail, laplacian."""
    band_width: int = 8
    """Losses boundary_rmse and detail: width in pixels of the band about the mask's edge that they look at."""
    boundary: Literal["contour", "canny", "sobel"] = "contour"
    """Nets with a boundary branch: what it is fitted to, the contour of the mask, or the edges that Canny or Sobel find in it."""
    boundary_width: int = 4
    """Boundary contour: its width in pixels."""
    boundary_weight: float = 0.1
    """Nets with a boundary branch: weight of its loss."""
    side_weights: str = "1"
    """Nets with side outputs: one weight for each of them, or weights for the main output and every side output, such as 1,0.5,0.5,0.5."""
    consistency: float = 0.0
    """Weight of the divergence between the prediction on a picture with its colours, sharpness and noise changed and that on the picture
    itself (0: off; PortraitNet: 2). Masks are then learned from both, and the augmentation of the data is geometry alone."""
    consistency_temperature: float = 1.0
    """By this the logits of both are divided before they are compared."""

    def check_loss(self) -> None:
        """Refuse numbers out of range.

        Raises:
            InputError: with what is allowed.
        """
        for name in ("band_width", "boundary_width"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} must be at least 1 pixel, got {getattr(self, name)}")
        for name in ("boundary_weight", "consistency"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"--{name.replace('_', '-')} must be at least 0, got {getattr(self, name)}")
        if not 0 < self.consistency_temperature < float("inf"):
            raise InputError(f"--consistency-temperature must be above 0, got {self.consistency_temperature}; PortraitNet's is 1")
