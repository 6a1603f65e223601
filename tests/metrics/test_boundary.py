"""Boundary IoU, by hand and against the paper's definition in plain NumPy; boundary F is in test_meter.py."""

import numpy as np
import pytest

from portraitseg.metrics import Meter, boundary_iou


def reference(found, truth):
    """Pixels of each mask within d, by row or column, of a pixel outside it; outside the picture is outside the mask."""
    d = max(1, round(0.02 * np.hypot(*truth.shape)))

    def band(mask):
        padded = np.pad(mask, d)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * d + 1, 2 * d + 1))
        return mask.astype(bool) & (windows.min((2, 3)) == 0)

    return (band(found) & band(truth)).sum() / (band(found) | band(truth)).sum()


def test_boundary_iou_by_hand():
    truth, found = np.zeros((2, 20, 20), np.uint8)
    truth[4:10, 4:10] = found[4:10, 5:11] = 1  # diagonal 28.3: d = 1, so the bands are rings of 20 pixels
    # common: rows 4 and 9, columns 5 to 9: 10; the sides at columns 4, 9 and 5, 10 are apart
    assert boundary_iou(found, truth) == pytest.approx(10 / 30)


def test_a_mask_at_the_rim_has_a_boundary_there():
    truth = np.ones((20, 20), np.uint8)
    found = truth.copy()
    found[0] = 0  # the ring of 76 pixels against that of 19 x 20, 74: common 76 - 20 (the top row) = 56, of 76 + 74 - 56
    assert boundary_iou(found, truth) == pytest.approx(56 / 94)


@pytest.mark.parametrize("size", [(40, 30), (90, 160), (200, 150)])  # d = 1, 4, 5
def test_boundary_iou_as_the_paper_defines_it(size):
    y, x = np.mgrid[: size[0], : size[1]]
    truth = ((x - size[1] * 0.4) ** 2 / 3 + (y - size[0] * 0.8) ** 2 < (size[0] * 0.4) ** 2).astype(np.uint8)
    for shift in (1, 3, 8):
        found = np.roll(truth, shift, 1) | (np.abs(x - y) < 3)
        assert 0 < reference(found, truth) < 1
        assert boundary_iou(found.astype(np.uint8), truth) == pytest.approx(reference(found, truth))


def test_without_a_person_boundary_iou_is_full_or_0():
    empty, one = np.zeros((9, 9), np.uint8), np.eye(9, dtype=np.uint8)
    assert [boundary_iou(empty, empty), boundary_iou(one, empty), boundary_iou(empty, one)] == [1, 0, 0]


def test_the_figure_of_a_set_is_the_mean_in_percent():
    meter = Meter("boundary_iou")
    square = np.zeros((20, 20), np.uint8)
    square[4:10, 4:10] = 255
    for shift in (0, 1):
        meter.add("", np.roll(square, shift, 1).astype(np.float32) / 255, square)
    assert meter.summary() == {"boundary_iou": pytest.approx((100 + 100 / 3) / 2)}
