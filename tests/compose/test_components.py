"""Components and holes on small drawn probs."""

import numpy as np
import pytest

from portraitseg.compose.components import fill_holes, largest_component


def person() -> np.ndarray:
    """A large and a small square, both with a soft rim of 0.3."""
    prob = np.zeros((40, 60), np.float32)
    for rows, columns in ((slice(5, 35), slice(5, 30)), (slice(10, 16), slice(45, 51))):
        prob[rows.start - 1 : rows.stop + 1, columns.start - 1 : columns.stop + 1] = 0.3
        prob[rows, columns] = 0.9
    return prob


def test_the_smaller_component_leaves_with_its_soft_rim_and_the_larger_keeps_its_own() -> None:
    prob = person()
    result = largest_component(prob)
    assert not result[:, 38:].any()
    assert np.array_equal(result[:, :36], prob[:, :36])


def test_area_counts_not_the_order() -> None:
    prob = person().T[::-1].copy()  # now the small one comes first
    assert not largest_component(prob)[:20].any()
    assert largest_component(prob)[40, 20] == np.float32(0.9)


def test_a_hole_is_filled_with_its_soft_rim() -> None:
    prob = person()
    prob[18:22, 14:18] = 0.6
    prob[19:21, 15:17] = 0.1
    result = fill_holes(prob)
    assert (result[18:22, 14:18] == 1).all()
    assert np.array_equal(result[:5], prob[:5])  # the outer rim stays soft
    assert np.array_equal(result[:, 31:], prob[:, 31:])


def test_a_large_gap_and_one_at_the_rim_stay() -> None:
    prob = np.full((40, 60), 0.9, np.float32)
    prob[10:20, 10:20] = 0.1  # 100 of 2400 pixels: 4%
    prob[0:2, 40:42] = 0.1
    assert np.array_equal(fill_holes(prob), prob)
    assert (fill_holes(prob, largest=0.05)[10:20, 10:20] == 1).all()
    assert np.array_equal(fill_holes(prob, largest=0.05)[0:2, 40:42], prob[0:2, 40:42])


@pytest.mark.parametrize("value", [0, 0.4, 0.6, 1])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8)])
def test_nothing_to_part_stays_as_it_is(value: float, size: tuple[int, int]) -> None:
    prob = np.full(size, value, np.float32)
    assert np.array_equal(largest_component(prob), prob)
    assert np.array_equal(fill_holes(prob), prob)


def test_results_are_probs_of_their_own_kind() -> None:
    prob = person()
    before = prob.copy()
    for result in (largest_component(prob), fill_holes(prob)):
        assert result.dtype == np.float32
    assert np.array_equal(prob, before)
