"""Colour filters, worked by hand."""

import numpy as np
import pytest

from portraitseg.compose.harmonize import LIMIT, MIX, NUMBERS, OFFSET, PIECES, colour_filter, filter_person, person_box

TONES = np.arange(256)


def numbers(**values: float) -> np.ndarray:
    """All 0 but those that are given: r_begin, r_1 .. r_8, ..., and mix_0 .. mix_5."""
    result = np.zeros(NUMBERS, np.float32)
    names = [f"{channel}_{part}" for channel in "rgb" for part in ("begin", *range(1, 1 + PIECES))] + [f"mix_{i}" for i in range(6)]
    for name, value in values.items():
        result[names.index(name)] = value
    return result


def test_zeros_change_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert np.array_equal(colour_filter(np.zeros(NUMBERS, np.float32))(image), image)
    assert np.array_equal(colour_filter(numbers(r_begin=1, mix_0=1, g_3=-1), strength=0)(image), image)


def test_a_curve_begins_higher_and_ends_higher() -> None:
    curves = colour_filter(numbers(g_begin=1)).curves
    assert np.array_equal(curves[:, 0], TONES)
    assert np.abs(curves[:, 1] - np.minimum(TONES + 255 * OFFSET, 255)).max() <= 0.5
    assert np.array_equal(curves[:, 2], TONES)


def test_a_piece_of_a_curve_is_steeper() -> None:
    curve = colour_filter(numbers(b_1=np.log(2))).curves[:, 2]  # twice as steep over the darkest eighth
    assert curve[:8].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert curve[100] == pytest.approx(100 + 255 / 8, abs=0.5)
    assert np.abs(np.diff(curve[40:200].astype(int)) - 1).max() == 0


@pytest.mark.parametrize("value", [-100, -1, 1, 100])
def test_curves_never_fall_and_numbers_are_bounded(value: float) -> None:
    wild = np.where(np.random.default_rng(0).random(NUMBERS) < 0.5, value, -value).astype(np.float32)
    found = colour_filter(wild)
    assert (np.diff(found.curves.astype(int), axis=0) >= 0).all()
    assert np.array_equal(found.curves, colour_filter(np.clip(wild, -LIMIT, LIMIT)).curves)


def test_the_matrix_mixes_and_keeps_grey() -> None:
    found = colour_filter(numbers(mix_0=1, mix_5=-2))
    assert found.matrix == pytest.approx(np.array([[1 - MIX, MIX, 0], [0, 1, 0], [0, -2 * MIX, 1 + 2 * MIX]]))
    grey = np.repeat(TONES, 3).reshape(1, 256, 3).astype(np.uint8)
    assert np.array_equal(found(grey), grey)
    assert found(np.array([[[100, 200, 40]]], np.uint8)).tolist() == [[[125, 200, 0]]]  # 40 * 1.5 - 200 * 0.5 < 0


def test_half_the_strength_is_half_of_each_number() -> None:
    full = numbers(r_begin=1, g_2=0.8, mix_3=1)
    assert np.array_equal(colour_filter(full, 0.5).curves, colour_filter(full / 2).curves)
    assert np.array_equal(colour_filter(full, 0.5).matrix, colour_filter(full / 2).matrix)


def test_the_person_alone_is_filtered() -> None:
    image = np.full((20, 30, 3), 100, np.uint8)
    alpha = np.zeros((20, 30), np.uint8)
    alpha[5:9, 7:20] = 1
    assert person_box(alpha) == (slice(5, 9), slice(7, 20))
    result = filter_person(image, alpha, colour_filter(numbers(r_begin=0.8)))
    assert (result[alpha > 0] == (120, 100, 100)).all()  # 100 + 0.8 * 25.5
    assert np.array_equal(result[alpha == 0], image[alpha == 0])
    assert (image == 100).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("value", [0, 1, 255])
def test_extreme_sizes_and_alphas(size: tuple[int, int], value: int) -> None:
    result = filter_person(np.full((*size, 3), 100, np.uint8), np.full(size, value, np.uint8), colour_filter(numbers(r_begin=0.8)))
    assert (result[..., 0] == (120 if value else 100)).all()
