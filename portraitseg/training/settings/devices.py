"""What a run computes on."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DeviceSettings:
    """One device or many."""

    strategy: Literal["single", "mirrored", "multiworker"] = "single"
    """single: one device; mirrored: all GPUs of this machine; multiworker: several machines, named by TF_CONFIG. --batch is shared out."""
