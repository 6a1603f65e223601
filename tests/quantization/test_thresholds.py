"""Each method's range against numbers worked by hand, or by NumPy in another way."""

import numpy as np
import pytest
import tensorflow as tf

from portraitseg.quantization.post_training.statistics import Statistics
from portraitseg.quantization.post_training.thresholds import METHODS, PARTS, choose


def _histogram(counts: np.ndarray, low: float, high: float) -> Statistics:
    return Statistics(lows=[low], highs=[high], counts=np.asarray(counts, np.float64))


def test_minmax_and_moving_average_by_hand() -> None:
    statistics = Statistics(lows=[-1.0, -2.0, -1.0], highs=[2.0, 4.0, 3.0])
    assert choose("minmax", statistics) == (-2, 4)
    low, high = choose("moving-average", statistics)
    assert high == pytest.approx(0.95 * (0.95 * 2 + 0.05 * 4) + 0.05 * 3)
    assert low == pytest.approx(0.95 * (0.95 * -1 + 0.05 * -2) + 0.05 * -1)


def test_percentile_by_hand() -> None:
    """10,000 values at each of -1..1 but one in 20,000 far above: 0.005% are beyond either end."""
    counts = np.zeros(400)
    counts[100:300] = 10_000  # from -1 to 1
    counts[399] = 50  # near 2, 0.0025% of all
    low, high = choose("percentile", _histogram(counts, -2, 2))
    beyond = counts.sum() * 0.00005
    assert low == pytest.approx(-1 + 0.01 * beyond / 10_000, abs=1e-6)
    assert high == pytest.approx(1 - 0.01 * (beyond - 50) / 10_000, abs=1e-6)


def test_percentile_is_numpys() -> None:
    values = np.random.default_rng(0).normal(0, 1, 2_000_000)
    counts, edges = np.histogram(values, 2048)
    ends = choose("percentile", _histogram(counts, edges[0], edges[-1]))
    np.testing.assert_allclose(ends, np.quantile(values, [0.00005, 0.99995]), atol=edges[1] - edges[0])


SHAPES = {
    "normal": np.random.default_rng(1).normal(0, 1, 20_000),
    "behind a ReLU, a long tail": np.maximum(np.random.default_rng(2).standard_t(3, 20_000), 0),
    "one outlier": np.append(np.random.default_rng(3).uniform(-1, 2, 20_000), 40.0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_mse_is_the_least_error_of_tensorflows_own_rounding(shape: str) -> None:
    """TensorFlow's fake quantization on the values themselves, over a grid of both ends, finds no range that is 3% better."""
    values = SHAPES[shape].astype(np.float32)
    counts, edges = np.histogram(values, 2048)
    sample = tf.constant(values)

    def error(ends: tuple[float, float]) -> float:
        return float(tf.reduce_sum((tf.quantization.fake_quant_with_min_max_vars(sample, *ends) - sample) ** 2))

    chosen = error(choose("mse", _histogram(counts, edges[0], edges[-1])))
    lows, highs = (np.linspace(0.04, 1, 25) * end for end in (min(edges[0], 0), edges[-1]))
    grid = [error((low, high)) for low in (lows if edges[0] < 0 else [0.0]) for high in highs]
    assert chosen <= 1.03 * min(grid)


def test_mse_cuts_a_normal_distribution_where_it_was_published() -> None:
    """At 3.92 standard deviations for 8 bits (ACIQ: Banner 2018, arXiv:1810.05723)."""
    edges = np.linspace(-8, 8, 2049)
    below = tf.math.erf(tf.constant(edges / np.sqrt(2), tf.float64)).numpy() / 2
    low, high = choose("mse", _histogram(1e9 * np.diff(below), -8, 8))
    assert (low, high) == (pytest.approx(-3.92, abs=0.1), pytest.approx(3.92, abs=0.1))


def _divergence(counts: list[float], first: int, last: int) -> float:
    """Migacz' recipe, bin by bin."""
    kept = counts[first:last]
    p = list(kept)
    p[0] += sum(counts[:first])
    p[-1] += sum(counts[last:])
    groups: dict[int, list[int]] = {}
    for number in range(len(kept)):
        groups.setdefault(number * 256 // len(kept), []).append(number)
    q = [0.0] * len(kept)
    for members in groups.values():
        holding = [number for number in members if kept[number] > 0]
        for number in holding:
            q[number] = sum(kept[other] for other in members) / len(holding)
    total_p, total_q, share = sum(p), sum(q), 1e-4 / len(kept)
    pairs = ((a / total_p * (1 - 1e-4) + share, b / total_q * (1 - 1e-4) + share) for a, b in zip(p, q, strict=True))
    return sum(a * np.log(a / b) for a, b in pairs)


def test_entropy_is_the_least_divergence_worked_bin_by_bin() -> None:
    values = np.abs(np.random.default_rng(4).standard_t(4, 50_000))
    counts, edges = np.histogram(values, 1024, range=(0, values.max()))
    plain = [float(count) for count in counts]
    plain[0] = plain[1]  # the bin of 0 counts as its neighbour
    lasts = {part: int(np.ceil(part * 1024 - 1e-9)) for part in PARTS}
    losses = {part: _divergence(plain, 0, last) for part, last in lasts.items() if last >= 256}
    best = min(losses, key=lambda part: losses[part])
    low, high = choose("entropy", _histogram(counts, 0, float(edges[-1])))
    assert (low, high) == (0, pytest.approx(best * edges[-1]))
    assert best < 0.9  # it does cut


@pytest.mark.parametrize("method", METHODS)
def test_zero_always_lies_in_the_range_and_a_constant_has_its_own(method: str) -> None:
    counts = np.ones(2048)
    low, high = choose(method, _histogram(counts, 2.0, 6.0))
    assert low == 0
    assert 5 < high <= 6
    assert choose(method, Statistics(lows=[-3.0], highs=[-3.0])) == (-3, 0)
