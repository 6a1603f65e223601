"""How a run learns for int8."""

from dataclasses import dataclass
from pathlib import Path

from portraitseg.errors import InputError
from portraitseg.training.phases import Phase

RANGES = "range_"
"""What the names of the layers start with that hold the tensors' ranges."""


@dataclass(frozen=True, kw_only=True)
class QuantizationSettings:
    """Quantization-aware training."""

    qat: tuple[str, ...] | None = None
    """Train on with the rounding of the int8 file: CHECKPOINT.h5, or without a value this run's own best one, as a last phase that goes
    into NAME/qat. What is validated is the int8 file itself; `export` then needs no calibration. A net that was trained to the end loses
    least as its own --teacher, with --ema 0.998 (docs/qat.md)."""
    qat_epochs: int = 5
    """Epochs of that."""
    qat_lr: float = 1e-4
    """Its peak learning rate; a tenth once the ranges are frozen."""
    qat_freeze_ranges: float = 0.3
    """Share of its epochs, at the end, in which the ranges are no longer trained and the weights settle into them."""
    qat_pictures: int = 128
    """Training pictures that the ranges start from, drawn so that they cover the set."""

    @property
    def qat_start(self) -> Path | None:
        """The checkpoint that a run of nothing but quantization-aware training starts from."""
        return Path(self.qat[0]) if self.qat else None

    def check_qat(self) -> None:
        """Refuse numbers out of range.

        Raises:
            InputError: with what is allowed.
        """
        if self.qat is not None and len(self.qat) > 1:
            raise InputError(f"--qat takes one checkpoint or none, got {len(self.qat)}: {', '.join(self.qat)}")
        if min(self.qat_epochs, self.qat_pictures) < 1 or not 0 < self.qat_lr < float("inf"):
            raise InputError(
                f"--qat-epochs and --qat-pictures must be at least 1 and --qat-lr above 0, got {self.qat_epochs}, {self.qat_pictures} and "
                f"{self.qat_lr}"
            )
        if not 0 <= self.qat_freeze_ranges < 1:
            raise InputError(f"--qat-freeze-ranges is a share of the epochs, at least 0 and below 1; got {self.qat_freeze_ranges}")

    def qat_plan(self) -> list[Phase]:
        """Phases of quantization-aware training; of several epochs one at least has frozen ranges, if any shall."""
        frozen = round(self.qat_freeze_ranges * self.qat_epochs)
        if self.qat_freeze_ranges and self.qat_epochs > 1:
            frozen = min(max(1, frozen), self.qat_epochs - 1)
        plan = [
            Phase(name="qat", epochs=self.qat_epochs - frozen, lr=self.qat_lr),
            Phase(name="qat_frozen_ranges", epochs=frozen, lr=self.qat_lr / 10, frozen=RANGES),
        ]
        return [phase for phase in plan if phase.epochs]
