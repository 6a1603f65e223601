"""Bootstrap intervals against what is known without drawing: the standard error of a mean, and all resamples of three pictures."""

import itertools

import numpy as np
import pytest

from portraitseg.metrics import interval, iou, ious


def mean(sums):
    return sums[..., 0]


def test_of_a_mean_it_is_as_wide_as_its_standard_error_says():
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = interval(values[:, None] / 400, mean)
    error = values.std() / 20  # of the resamples: with n, not n - 1
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.15 * error)


def test_of_a_ratio_of_sums_it_is_that_of_all_27_resamples():
    rows = np.array([[1, 9], [5, 1], [40, 10]])
    every = [rows[list(drawn)].sum(0) for drawn in itertools.product(range(3), repeat=3)]
    ratios = sorted(right / (right + wrong) for right, wrong in every)
    expected = np.quantile(ratios, [0.025, 0.975], method="inverted_cdf")
    found = interval(rows, lambda sums: sums[..., 0] / sums.sum(-1), resamples=20_000)
    assert found == pytest.approx(tuple(expected))
    assert found == (0.1, 5 / 6)  # all three draws the first picture, all three the second: 1 of 27 each, more than 2.5 %


def test_pictures_that_are_all_alike_leave_no_doubt_and_a_seed_draws_the_same():
    assert interval(np.full((9, 1), 0.5), mean) == (4.5, 4.5)
    rows = np.random.default_rng(0).random((9, 1))
    assert interval(rows, mean, seed=3) == interval(rows, mean, seed=3) != interval(rows, mean, seed=4)


def test_none_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        interval(np.zeros((0, 1)), mean)


def test_many_counts_at_once_give_what_each_gives_by_itself():
    counts = np.array([[3, 1, 2, 10], [0, 0, 0, 8], [0, 4, 0, 0], [7, 0, 0, 0]])
    person, background = ious(counts)
    assert list(zip(person, background, strict=True)) == [iou(row) for row in counts]
