"""How a run descends."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """Epochs, optimiser, learning rate, freezing."""

    epochs: int | None = None
    """Passes over the training set (default: 20, or 4 on the synthetic set)."""
    batch: int = 16
    """Pictures a step."""
    lr: float = 2e-3
    """Peak learning rate of Adam."""
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    """Learning rate: down to 0 along a cosine, down by a factor where validation stands still, or constant; all start with a warm-up."""
    warmup: int = 200
    """Steps over which each phase's learning rate rises from 0."""
    plateau_factor: float = 0.5
    """Schedule plateau: what the learning rate is multiplied by."""
    plateau_patience: int = 3
    """Schedule plateau: epochs without a better validation mIoU before that."""
    patience: int = 0
    """Stop after so many epochs without a better validation mIoU (0: never)."""
    freeze_epochs: int = 0
    """Epochs at the start in which the encoder (layers enc_*) is frozen, batch-norm statistics included."""
    bn_momentum: float = 0.95
    """Momentum of the batch-norm statistics; a short run needs a small one, or they lag behind the weights."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Arithmetic of the layers; weights and losses stay in float32."""
    seed: int = 0
    """Seed of the weights, the order, the augmentation and the dropout."""
