"""What a run minimises."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Losses and their weights."""

    loss: str = "bce=1,dice=0.5"
    """Weighted sum of losses: bce, dice."""
    boundary_weight: float = 0.1
    """Nets with a boundary branch: weight of its loss."""
