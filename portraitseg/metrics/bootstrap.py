"""How far a figure of a set of pictures would move with other pictures of the kind: bootstrap intervals."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95

Numbers = NDArray[Any]


def interval(rows: Numbers, figure: Callable[[Numbers], Numbers], *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """The percentile interval of a figure (Efron 1979, "Bootstrap methods: another look at the jackknife").

    Sets of as many pictures are drawn from the pictures, with replacement; of their figures the middle 95 % lie in the interval.

    Args:
        rows: (n,k), what each picture adds to k sums.
        figure: sums over n pictures (...,k) -> figures (...).
        resamples: sets to draw.
        seed: of the draw.

    Returns:
        Its lower and its upper end.

    Raises:
        ValueError: there is no picture.
    """
    if not len(rows):
        raise ValueError("an interval takes at least one picture, got none")
    drawn = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    low, high = np.quantile(figure(drawn @ rows), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])  # drawn: (resamples,n), how often each picture is
    return float(low), float(high)
