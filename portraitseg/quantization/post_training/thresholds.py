"""From what an activation holds to the range that its 256 steps span. What lies beyond is cut off; a narrower range has finer steps."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from portraitseg.quantization.post_training.statistics import Statistics

Range = tuple[float, float]
Float64 = npt.NDArray[np.float64]

STEPS = 256
SMOOTHING = 0.95
"""Weight of the past in the moving average: it remembers about twenty pictures."""
INSIDE = 99.99
"""Percent of the values that the range of "percentile" holds."""
PARTS = np.linspace(1, 0.02, 99)
"""Of the full range, which "mse" and "entropy" try; the full one first: of equals it wins."""
EVERYWHERE = 1e-4
"""Share of the counts that "entropy" spreads evenly over all bins, so that an empty bin does not make the divergence infinite."""


def minmax(statistics: Statistics) -> Range:
    """From the smallest to the largest value met."""
    return statistics.low, statistics.high


def moving_average(statistics: Statistics) -> Range:
    """Exponential moving averages of each picture's smallest and largest value (Jacob 2018, arXiv:1712.05877, section 3.1)."""
    low, high = statistics.lows[0], statistics.highs[0]
    for next_low, next_high in zip(statistics.lows[1:], statistics.highs[1:], strict=True):
        low = SMOOTHING * low + (1 - SMOOTHING) * next_low
        high = SMOOTHING * high + (1 - SMOOTHING) * next_high
    return low, high


def percentile(statistics: Statistics) -> Range:
    """The range that INSIDE percent of the values lie in, as many of the rest below it as above."""
    counts, edges = _bins(statistics)
    below = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    rest = (100 - INSIDE) / 200
    return float(np.interp(rest, below, edges)), float(np.interp(1 - rest, below, edges))


def mse(statistics: Statistics) -> Range:
    """The range whose steps and cut-off parts together make the least squared error: both ends drawn in alike, then each alone."""
    counts, edges = _bins(statistics)
    centres, full = (edges[:-1] + edges[1:]) / 2, with_zero(minmax(statistics))

    def least(candidates: list[Range]) -> Range:
        return min(candidates, key=lambda ends: squared_error(counts, centres, ends))

    low, high = least([(part * full[0], part * full[1]) for part in PARTS])
    low, high = least([(low, high), *((part * full[0], high) for part in PARTS)])
    return least([(low, high), *((low, part * full[1]) for part in PARTS)])


def entropy(statistics: Statistics) -> Range:
    """The range that keeps most of the distribution: least Kullback-Leibler divergence of the stepped from the full one.

    As in TensorRT's calibration (Migacz 2017, "8-bit inference with TensorRT"), with both ends drawn in alike instead of |x| cut at one.
    The bin of 0 gets its neighbours' count: behind a ReLU most values are 0, which any range holds, and the rest would not matter.
    """
    counts, edges = _bins(statistics)
    counts, (low, high) = without_zeros(counts, edges), with_zero(minmax(statistics))

    def loss(part: float) -> float:
        first, last = int(np.searchsorted(edges, part * low, "right")) - 1, int(np.searchsorted(edges, part * high))
        first = max(first, 0)
        return divergence(counts, first, last) if last - first >= STEPS else np.inf  # fewer bins than steps agree with themselves

    part = min(PARTS, key=loss)
    return float(part * low), float(part * high)


def squared_error(counts: Float64, centres: Float64, ends: Range) -> float:
    """Sum of the squared errors of values `centres`, met `counts` times, in STEPS steps from one end to the other."""
    low, high = ends
    scale = (high - low) / (STEPS - 1)
    zero = np.round(-low / scale)
    stored = np.clip(np.round(centres / scale) + zero, 0, STEPS - 1)
    return float(np.sum(counts * (centres - (stored - zero) * scale) ** 2))


def divergence(counts: Float64, first: int, last: int) -> float:
    """Kullback-Leibler divergence, in nats, of the bins [first,last) in STEPS steps from the same bins with all beyond at their ends."""
    kept = counts[first:last]
    cut = kept.copy()
    cut[0] += counts[:first].sum()
    cut[-1] += counts[last:].sum()
    step = np.arange(len(kept)) * STEPS // len(kept)
    filled = (kept > 0).astype(np.float64)
    total, bins = np.bincount(step, kept), np.bincount(step, filled)
    stepped = filled * (total / np.maximum(bins, 1))[step]  # a step's counts evenly over those of its bins that hold any
    p, q = (values / values.sum() * (1 - EVERYWHERE) + EVERYWHERE / len(kept) for values in (cut, stepped))
    return float(np.sum(p * np.log(p / q)))


def without_zeros(counts: Float64, edges: Float64) -> Float64:
    """The counts with the mean of its neighbours in the bin that 0 lies in, if there is one."""
    zero = int(np.searchsorted(edges, 0, side="right")) - 1
    if not 0 <= zero < len(counts):
        return counts
    counts = counts.copy()
    counts[zero] = np.mean([counts[other] for other in (zero - 1, zero + 1) if 0 <= other < len(counts)])
    return counts


METHODS: dict[str, Callable[[Statistics], Range]] = {
    "minmax": minmax,
    "moving-average": moving_average,
    "percentile": percentile,
    "mse": mse,
    "entropy": entropy,
}
BY_HISTOGRAM = ("percentile", "mse", "entropy")


def choose(method: str, statistics: Statistics) -> Range:
    """The range of a tensor by a method of METHODS; 0 always lies in it, because padding and ReLU need it exactly."""
    if statistics.low == statistics.high:
        return with_zero(minmax(statistics))
    return with_zero(METHODS[method](statistics))


def with_zero(ends: Range) -> Range:
    """The range, widened to hold 0."""
    return min(ends[0], 0.0), max(ends[1], 0.0)


def _bins(statistics: Statistics) -> tuple[Float64, Float64]:
    """Counts (n,) and edges (n+1,)."""
    if statistics.counts is None:
        raise ValueError("this method needs a histogram")
    return statistics.counts, np.linspace(statistics.low, statistics.high, len(statistics.counts) + 1)
