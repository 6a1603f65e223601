"""Learning rates as functions of the step, and the plateau rule."""

import math
from dataclasses import dataclass

from portraitseg.training.settings.optimiser import CYCLES, OptimiserSettings

ANNIHILATED = 1e-3
"""Share of the base rate that is left at the end of the annihilation."""


def warmup(step: int, steps: int) -> float:
    """Factor that rises linearly to 1 over the first `steps` steps (0-based)."""
    return min(1.0, (step + 1) / (steps + 1))


def cosine(step: int, total: int) -> float:
    """Factor from 1 at step 0 to 0 at step `total` along half a cosine (Loshchilov 2017, arXiv:1608.03983)."""
    return 0.5 * (1.0 + math.cos(math.pi * min(step, total) / total))


def triangle(position: float) -> float:
    """From 0 up to 1 in the middle of each cycle and down to 0 at its end; `position` in cycles (Smith 2015, arXiv:1506.01186)."""
    return 1.0 - abs(2.0 * (position % 1.0) - 1.0)


def cyclical(settings: OptimiserSettings, step: int, total: int, epoch: int) -> float:
    """Factor of a schedule with cycles: from the base up to 1 and back, in the end far below the base.

    One cycle and the annihilation are Smith's 1cycle (2018, arXiv:1803.09820; 2017, arXiv:1708.07120), the others those of his first
    paper (2015, arXiv:1506.01186): triangular2 halves the cycles' height each time, exp_range lowers it in every step.

    Args:
        settings: schedule, base, length and annihilation.
        step: 0-based, in the phase.
        total: steps of the phase.
        epoch: steps of an epoch.
    """
    base = settings.cycle_base
    cycling = total - round(settings.annihilation * total)
    if step >= cycling:
        return base * (1.0 - (1.0 - ANNIHILATED) * (step - cycling + 1) / (total - cycling))
    wanted = cycling if settings.schedule == "onecycle" else settings.cycle_steps or settings.cycle_epochs * epoch
    position = step * max(1, round(cycling / wanted)) / cycling
    heights = {"triangular2": 0.5 ** int(position), "exp_range": settings.cycle_gamma**step}
    return base + (1.0 - base) * triangle(position) * heights.get(settings.schedule, 1.0)


def learning_rate(settings: OptimiserSettings, peak: float, step: int, total: int, *, epoch: int, scale: float = 1.0) -> float:
    """The learning rate of a step.

    Along a cosine the warm-up takes a tenth of the phase at most. Cosine and cycles depend on `total`; the other schedules do not, so
    that a finished run can be resumed with more epochs as if it had never ended.

    Args:
        settings: the schedule and its numbers.
        peak: the phase's learning rate.
        step: 0-based, in the phase.
        total: steps of the phase.
        epoch: steps of an epoch.
        scale: what the plateau rule multiplies by.
    """
    if settings.schedule in CYCLES:
        return peak * cyclical(settings, step, total, epoch)
    if settings.schedule == "cosine":
        warm = min(settings.warmup, total // 10)
        return peak * cosine(max(0, step - warm), total - warm) * warmup(step, warm)
    fallen = {"plateau": scale, "step": settings.step_factor ** (step // epoch // settings.step_epochs)}.get(settings.schedule, 1.0)
    return max(peak * fallen, min(settings.min_lr, peak)) * warmup(step, settings.warmup)


def momentum(settings: OptimiserSettings, factor: float) -> float:
    """Momentum at a factor of the learning rate: lowest at the peak, highest at the base and below it (Smith 2018, arXiv:1803.09820)."""
    if settings.momentum_range is None:
        return settings.momentum
    low, high = settings.momentum_range
    height = (factor - settings.cycle_base) / (1.0 - settings.cycle_base) if settings.cycle_base < 1 else 0.0
    return high - (high - low) * max(0.0, height)


@dataclass
class Plateau:
    """Counts epochs without improvement: lowers a factor after `patience` of them (as ReduceLROnPlateau)."""

    best: float = -math.inf
    stale: int = 0
    """Epochs since the best."""
    waited: int = 0
    """Epochs since the best or since the last lowering."""
    scale: float = 1.0
    """What the learning rate is multiplied by."""

    def update(self, value: float, *, patience: int, factor: float) -> bool:
        """Take an epoch's value, higher being better; True if it is the best so far."""
        if value > self.best:
            self.best, self.stale, self.waited = value, 0, 0
            return True
        self.stale += 1
        self.waited += 1
        if self.waited >= patience:
            self.scale, self.waited = self.scale * factor, 0
        return False

    def restart(self) -> None:
        """Forget the lowerings, as a new phase with its own learning rate does; what was best stays."""
        self.waited, self.scale = 0, 1.0
