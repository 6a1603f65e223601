"""The range test of learning rates: train while the rate rises, and see where the loss falls fastest and where it explodes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray
from tqdm import tqdm

from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.optional import require
from portraitseg.training.objective import Batch
from portraitseg.training.step import TrainStep

SMOOTHING = 0.9
"""Of the loss, from step to step."""
DIVERGED = 4.0
"""The test ends where the smoothed loss is so many times its lowest."""
LEAST = 10
"""Points below which a curve says nothing."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What a test has found: one entry a step."""

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    diverged: bool
    """Whether it ended before the highest rate."""

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The losses' exponential moving average, corrected for its start at 0 (as Adam corrects its own)."""
        return smooth(self.losses)

    @property
    def steepest(self) -> float:
        """Rate at which the smoothed loss falls fastest over the rate's logarithm.

        Only up to the lowest loss, and after the first tenth of the points, whose averages are of few losses.

        Raises:
            InputError: the loss does not fall.
        """
        first, lowest = len(self.rates) // 10, int(np.argmin(self.smoothed))
        slope = np.gradient(self.smoothed, np.log(self.rates))[first : lowest + 1]
        if not slope.size or slope.min() >= 0:
            raise InputError(f"the loss does not fall from {self.rates[0]:.1e} on; begin with a smaller --lowest, or take more --steps")
        return float(self.rates[first + int(np.argmin(slope))])

    @property
    def tenth(self) -> float:
        """A tenth of the rate of the lowest smoothed loss."""
        return float(self.rates[np.argmin(self.smoothed)]) / 10

    @property
    def suggestion(self) -> float:
        """The smaller of the two, which is the more cautious peak rate."""
        return min(self.steepest, self.tenth)


def smooth(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """See `Curve.smoothed`."""
    average, smoothed = 0.0, []
    for count, loss in enumerate(losses, start=1):
        average = SMOOTHING * average + (1.0 - SMOOTHING) * loss
        smoothed.append(average / (1.0 - SMOOTHING**count))
    return np.array(smoothed)


def find(
    model: keras.Model, optimizer: Any, step: TrainStep, batches: Iterator[Batch], *, lowest: float, highest: float, steps: int
) -> Curve:
    """Take steps at rates that rise exponentially, until the loss explodes; the model's weights are put back afterwards.

    Smith 2015, arXiv:1506.01186, section 3.3; the exponential rise, the smoothing and the end are fastai's (Howard 2020,
    arXiv:2002.04688).

    Args:
        model: what `step` trains.
        optimizer: with which `step` does it.
        step: batch -> loss.
        batches: at least `steps`.
        lowest: the first learning rate.
        highest: the last one.
        steps: how many there are.

    Raises:
        InputError: the rates are no range, there are too few steps, or the loss explodes in the first of them.
    """
    if not 0 < lowest < highest < math.inf or steps < LEAST:
        raise InputError(f"--lowest {lowest} must be above 0 and below --highest {highest}, and --steps at least {LEAST}, got {steps}")
    rates, losses, before = np.geomspace(lowest, highest, steps), [], model.get_weights()
    try:
        for rate in tqdm(rates, unit="step", dynamic_ncols=True):
            optimizer.learning_rate = rate
            loss = float(step(next(batches)))
            if not math.isfinite(loss):
                break
            losses.append(loss)
            if len(losses) >= LEAST and smooth(np.array(losses))[-1] > DIVERGED * smooth(np.array(losses)).min():
                break
    finally:
        model.set_weights(before)
    if len(losses) < LEAST:
        raise InputError(f"the loss exploded in step {len(losses) + 1}, at a learning rate of {rate:.1e}; begin with a smaller --lowest")
    return Curve(rates=rates[: len(losses)], losses=np.array(losses), diverged=len(losses) < steps)


def draw(curve: Curve, path: Path) -> None:
    """The loss over the learning rate, with the two rates that the suggestion is taken from, as PNG."""
    require("matplotlib", extra="train").use("Agg")
    plt = require("matplotlib.pyplot", extra="train")
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.semilogx(curve.rates, curve.losses, alpha=0.3, label="loss")
    axes.semilogx(curve.rates, curve.smoothed, label="smoothed")
    axes.axvline(curve.steepest, linestyle="--", color="C2", label=f"steepest descent, {curve.steepest:.1e}")
    axes.axvline(curve.tenth, linestyle=":", color="C3", label=f"a tenth of the lowest loss's, {curve.tenth:.1e}")
    axes.set(xlabel="learning rate", ylabel="training loss", ylim=_limits(curve.smoothed))
    axes.legend()
    axes.grid(alpha=0.3)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def _limits(smoothed: NDArray[np.float64]) -> tuple[float, float]:
    """Bounds of the drawing that leave the explosion mostly out."""
    low, start = float(smoothed.min()), float(smoothed[0])
    height = max(start - low, 0.1 * abs(start))
    return low - 0.1 * height, start + height
