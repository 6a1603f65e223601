"""The expected numbers are worked by hand in the comments."""

import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.metrics import Meter, boundary_f, confusion, iou

MASK = np.array([[0, 0, 0, 0], [0, 255, 255, 0], [0, 255, 255, 0], [0, 0, 0, 0]], np.uint8)


def as_prob(mask):
    return (mask / 255).astype(np.float32)


def test_a_mask_shifted_by_one_column_gives_the_counts_worked_by_hand():
    shifted = np.roll(MASK, 1, axis=1)  # 2 of 4 person pixels are hit, 2 are extra, 2 missed, 10 rest
    counts = confusion((shifted > 0).astype(np.uint8), (MASK > 0).astype(np.uint8))
    assert counts.tolist() == [2, 2, 2, 10]
    assert iou(counts) == (2 / 6, 10 / 14)
    row = Meter().add("a", as_prob(shifted), MASK)
    assert row["iou"] == pytest.approx(100 / 3)
    assert row["miou"] == pytest.approx(100 * (1 / 3 + 5 / 7) / 2)
    assert row["mae"] == pytest.approx(4 / 16)


def test_the_iou_of_a_set_pools_the_pixels_and_its_mae_is_the_mean_over_pictures():
    meter = Meter()
    meter.add("small", np.zeros((4, 4), np.float32), MASK)  # 0 hit, 4 missed, 12 rest; MAE 4/16
    large = np.zeros((8, 8), np.uint8)
    large[:, :4] = 255
    meter.add("large", as_prob(large), large)  # 32 hit, 32 rest; MAE 0
    summary = meter.summary()
    assert summary["iou"] == pytest.approx(100 * 32 / 36)
    assert summary["miou"] == pytest.approx(50 * (32 / 36 + 44 / 48))
    assert summary["mae"] == pytest.approx((0.25 + 0) / 2)
    assert summary["boundary_f"] == pytest.approx((0 + 100) / 2)
    assert [row["name"] for row in meter.rows] == ["small", "large"]


@pytest.mark.parametrize(("value", "expected"), [(0.5, 0.0), (0.500001, 100.0)])
def test_a_prob_is_person_only_above_one_half(value, expected):
    assert Meter().add("a", np.where(MASK > 0, np.float32(value), np.float32(0)), MASK)["iou"] == expected


@pytest.mark.parametrize(("value", "expected"), [(127, 0.0), (128, 100.0)])
def test_a_soft_mask_is_person_only_above_127(value, expected):
    soft = np.where(MASK > 0, value, 0).astype(np.uint8)
    assert Meter().add("a", as_prob(MASK), soft)["iou"] == expected


def test_mae_is_measured_against_the_soft_mask():
    soft = np.full((4, 4), 51, np.uint8)  # 51 / 255 = 0.2
    assert Meter().add("a", np.full((4, 4), 0.5, np.float32), soft)["mae"] == pytest.approx(0.3)


def square(shift):
    mask = np.zeros((20, 20), np.uint8)
    mask[5:11, 5 + shift : 11 + shift] = 1
    return mask


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (1, 1.0), (2, 0.6)])
def test_boundary_f_of_a_shifted_square(shift, expected):
    # 20 x 20: the tolerance is max(1, round(0.0075 * 28.3)) = 1 pixel, up, down, left or right. The ring of a 6 x 6 square has 20 pixels.
    # Shifted by 2, the columns 5..10 become 7..12. Of the true ring, near the other one are the rows at top and bottom, columns 6..10
    # (column 6 touches column 7): 2 * 5; of the left and right sides (4 pixels each at columns 5 and 10, rows 6..9) column 5 lies 2 from
    # column 7, and column 10 lies 2 from column 12 and 3 from column 7, but its first and last pixel (rows 6 and 9) touch the other
    # ring's top and bottom rows: 2. That is 12 of 20 = 0.6, and by symmetry as many the other way round.
    assert boundary_f(square(shift), square(0)) == pytest.approx(expected)


def test_boundary_f_forgives_three_quarters_of_a_percent_of_the_diagonal():
    mask = np.zeros((300, 400), np.uint8)  # diagonal 500: 3.75, hence 4 pixels
    mask[:, :200] = 1  # a person cut off by the picture's rim: its only boundary is column 199
    assert boundary_f(np.roll(mask, 4, axis=1)[:, :400] | mask, mask) == 1.0
    assert boundary_f(np.where(np.arange(400) < 205, 1, 0).astype(np.uint8)[None].repeat(300, 0), mask) == 0.0


@pytest.mark.parametrize("value", [0, 255])
def test_pictures_without_a_boundary_agree_fully(value):
    plain = np.full((6, 6), value, np.uint8)
    row = Meter().add("a", as_prob(plain), plain)
    assert row == {"name": "a", "iou": 100.0, "miou": 100.0, "mae": 0.0, "boundary_f": 100.0}


@pytest.mark.parametrize("swapped", [False, True])
def test_a_person_on_one_side_only_scores_0(swapped):
    empty = np.zeros_like(MASK)
    found, truth = (MASK, empty) if swapped else (empty, MASK)
    row = Meter().add("a", as_prob(found), truth)
    assert row["iou"] == 0.0
    assert row["miou"] == pytest.approx(50 * 12 / 16)
    assert row["boundary_f"] == 0.0


def test_boundary_f_is_left_out_on_request():
    meter = Meter(boundary=False)
    meter.add("a", as_prob(MASK), MASK)
    assert meter.summary() == {"iou": 100.0, "miou": 100.0, "mae": 0.0}


def test_unequal_shapes_no_picture_and_nan_are_refused():
    with pytest.raises(ValueError, match=r"one shape.*\(2, 2\).*\(4, 4\)"):
        Meter().add("a", np.zeros((2, 2), np.float32), MASK)
    with pytest.raises(InputError, match="no picture"):
        Meter().summary()
    with pytest.raises(InputError, match="photo7 holds NaN"):
        Meter().add("photo7", np.full((4, 4), np.nan, np.float32), MASK)
