"""Patches and the canvas, against numbers worked by hand."""

import numpy as np
import pytest

from portraitseg.data.drawn.drawing import Canvas, Patch, fill, frame, relief, strokes, within
from portraitseg.data.drawn.shapes import capsule, closed_curve, ellipse, mirrored, open_curve

SQUARE = np.array([(4, 4), (12, 4), (12, 10), (4, 10)], np.float32)


def whole(patch: Patch, size: int) -> np.ndarray:
    alpha = np.zeros((size, size), np.float32)
    alpha[patch.rows, patch.cols] = patch.alpha
    return alpha


def test_fill_covers_the_outline():
    alpha = whole(fill(20, SQUARE), 20)
    assert (alpha[5:10, 5:12] == 1).all()
    assert not alpha[:2].any()
    assert not alpha[:, 15:].any()


def test_fill_joins_outlines_that_overlap():
    alpha = whole(fill(30, SQUARE, SQUARE + 3), 30)
    assert alpha[8, 9] == 1  # in both: even-odd filling would leave a hole
    assert alpha[12, 14] == 1


def test_holes_are_cut_out():
    inner = (SQUARE - SQUARE.mean(0)) * 0.4 + SQUARE.mean(0)
    alpha = whole(fill(20, SQUARE, holes=[inner]), 20)
    assert alpha[7, 8] == 0
    assert alpha[5, 5] == 1


@pytest.mark.parametrize("offset", [-40, 40])
def test_what_lies_outside_the_picture_is_empty(offset):
    patch = fill(20, SQUARE + offset)
    canvas = Canvas(20)
    canvas.over(patch, np.full(3, 9, np.float32))
    assert patch.alpha.size == 0
    assert relief(patch, np.ones(2, np.float32), 3).shape == (1, 1)
    assert not canvas.planes.any()


def test_soft_keeps_the_area():
    hard, soft = (whole(fill(40, SQUARE + 12, soft=sigma), 40) for sigma in (0, 2.5))
    assert soft.sum() == pytest.approx(hard.sum(), rel=0.03)
    assert ((soft > 0.02) & (soft < 0.98)).sum() > 2 * ((hard > 0.02) & (hard < 0.98)).sum()


def test_thin_strokes_are_faint():
    line = np.array([(2, 5), (18, 5)], np.float32)
    assert 0.3 < strokes(20, [line], 0.4).alpha.max() < 0.45
    assert strokes(20, line[None], 3).alpha.max() == 1


def test_over_and_atop_by_hand():
    canvas = Canvas(4)
    half = Patch(np.full((4, 4), 0.5, np.float32), slice(0, 4), slice(0, 4))
    canvas.over(half, np.array([200, 100, 0], np.float32))  # alpha .5
    np.testing.assert_allclose(canvas.planes[:, 0, 0], [100, 50, 0, 127.5])
    canvas.over(half, np.array([0, 0, 100], np.float32))  # .5 * 100 over what is left of the first
    np.testing.assert_allclose(canvas.planes[:, 0, 0], [50, 25, 50, 191.25])
    canvas.atop(half, np.array([80, 80, 80], np.float32))  # 80 * .75 half laid over; the alpha stays
    np.testing.assert_allclose(canvas.planes[:, 0, 0], [55, 42.5, 55, 191.25])
    canvas.shade(half, 0.6)
    np.testing.assert_allclose(canvas.planes[:, 0, 0], [44, 34, 44, 191.25], rtol=1e-6)


def test_within_is_the_product_where_both_are():
    first = Patch(np.full((6, 6), 0.5, np.float32), slice(0, 6), slice(0, 6))
    second = Patch(np.full((6, 6), 0.5, np.float32), slice(4, 10), slice(3, 9))
    both = within(first, second)
    assert (both.rows, both.cols) == (slice(4, 6), slice(3, 6))
    assert (both.alpha == 0.25).all()
    assert within(first, Patch(second.alpha, slice(6, 12), slice(0, 6))).alpha.size == 0


def test_relief_is_brighter_towards_the_light():
    disc = fill(64, ellipse(32, 32, 20, 20))
    lit = whole(disc._replace(alpha=relief(disc, np.array([1, 0], np.float32), 10)), 64)
    assert lit[32, 48] > lit[32, 32] > lit[32, 16]


def test_frame_turns_scales_and_squeezes():
    moved = frame(np.array([10, 20]), 4.0, np.pi / 2, squeeze=0.5)([(1, 0), (0, 1)])
    np.testing.assert_allclose(moved, [(10, 22), (6, 20)], atol=1e-5)  # a quarter turn clockwise: x down, y to the left
    assert frame(np.zeros(2), 4.0, 0.3, squeeze=0.5).unit == pytest.approx(4)


def test_curves_pass_through_their_control_points():
    control = [(0, 0), (4, 1), (5, 5), (1, 4)]
    np.testing.assert_allclose(closed_curve(control, 6)[::6], control, atol=1e-6)
    np.testing.assert_allclose(open_curve(control, 5)[::5], control, atol=1e-6)


def test_an_open_curve_through_points_in_a_row_is_straight():
    line = open_curve([(0, 0), (1, 1), (2, 2), (3, 3)], 4)
    np.testing.assert_allclose(line[:, 0], line[:, 1], atol=1e-6)


def test_mirrored_doubles_no_point_on_the_axis():
    np.testing.assert_allclose(mirrored([(0, -1), (2, 0), (0, 1)]), [(0, -1), (2, 0), (0, 1), (-2, 0)])


def test_capsule_reaches_both_ends():
    outline = capsule(np.array([0.0, 0.0]), np.array([10.0, 0.0]), 2, 1)
    np.testing.assert_allclose([outline.min(0), outline.max(0)], [(-2, -2), (11, 2)], atol=1e-5)
