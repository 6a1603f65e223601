"""Learning rates as functions of the step, and the plateau rule."""

import math
from dataclasses import dataclass


def warmup(step: int, steps: int) -> float:
    """Factor that rises linearly to 1 over the first `steps` steps (0-based)."""
    return min(1.0, (step + 1) / (steps + 1))


def cosine(step: int, total: int) -> float:
    """Factor from 1 at step 0 to 0 at step `total` along half a cosine (Loshchilov 2017, arXiv:1608.03983)."""
    return 0.5 * (1.0 + math.cos(math.pi * min(step, total) / total))


def factor(schedule: str, step: int, total: int, warmup_steps: int) -> float:
    """Factor of a phase's learning rate at 0-based `step` of `total`.

    Along a cosine the warm-up takes a tenth of the phase at most. The other schedules do not depend on `total`, so that a finished
    run can be resumed with more epochs as if it had never ended.
    """
    if schedule != "cosine":
        return warmup(step, warmup_steps)
    warm = min(warmup_steps, total // 10)
    return cosine(max(0, step - warm), total - warm) * warmup(step, warm)


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
