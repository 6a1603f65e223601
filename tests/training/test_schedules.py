"""Schedules against hand-worked values."""

import itertools

import pytest

from portraitseg.training import schedules
from portraitseg.training.schedules import Plateau


def test_cosine_quarter_points():
    assert [schedules.cosine(step, 8) for step in (0, 2, 4, 8, 9)] == pytest.approx([1.0, 0.853553, 0.5, 0.0, 0.0], abs=1e-6)


def test_warmup_rises_linearly():
    assert [schedules.warmup(step, 3) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert schedules.warmup(0, 0) == 1.0


def test_cosine_factor_warms_up_then_falls():
    """100 steps, of which a tenth at most warm up."""
    values = [schedules.factor("cosine", step, 100, 50) for step in range(100)]
    assert values[0] == pytest.approx(1 / 11)
    assert max(values) == values[10] == 1.0
    assert values[55] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(values[10:]))


def test_constant_does_not_depend_on_the_total():
    short, long = ([schedules.factor("constant", step, total, 4) for step in range(8)] for total in (10, 99))
    assert short == long


def test_plateau_counts_by_hand():
    plateau = Plateau()
    improved = [plateau.update(value, patience=2, factor=0.5) for value in (1.0, 3.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0)]
    assert improved == [True, True, False, False, True, False, False, False]
    assert plateau.scale == 0.25  # lowered after the second of 2.0, 3.0 and of 1.0, 1.0; the last 1.0 waits
    assert (plateau.best, plateau.stale, plateau.waited) == (4.0, 3, 1)
