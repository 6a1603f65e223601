"""Contact sheets, pixel by pixel on small hand-made pictures."""

import numpy as np
import pytest

from portraitseg import sheet

RED = np.full((20, 30, 3), (255, 0, 0), np.uint8)
BLUE = np.full((10, 12, 3), (0, 0, 255), np.uint8)


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(-1).sum())


def test_a_grid_shows_every_picture_whole() -> None:
    grid = sheet.grid([RED, BLUE, RED, BLUE, BLUE], 2)
    assert grid.shape == (3 * 24 + 4, 2 * 34 + 4, 3)
    assert count(grid, (255, 0, 0)) == 2 * 600
    assert count(grid, (0, 0, 255)) == 3 * 120
    assert np.array_equal(grid[4:24, 4:34], RED)
    assert np.array_equal(grid[9:19, 47:59], BLUE)  # centred in the second cell


def test_a_label_stays_under_its_own_picture() -> None:
    plain, labelled = sheet.grid([RED, RED], 2, ["", ""]), sheet.grid([RED, RED], 2, ["a very long name that cannot fit", ""])
    changed = np.argwhere((plain != labelled).any(-1))
    assert len(changed) > 20
    assert changed[:, 0].min() >= 24  # below the picture
    assert changed[:, 1].max() < 34  # within the first column


def test_a_grid_is_not_wider_than_its_pictures() -> None:
    assert sheet.grid([RED], 6).shape == (28, 38, 3)


@pytest.mark.parametrize(("images", "columns", "labels"), [([], 2, None), ([RED], 0, None), ([RED], 1, ["a", "b"])])
def test_an_impossible_grid_is_refused(images, columns, labels) -> None:
    with pytest.raises(ValueError, match="a grid needs"):
        sheet.grid(images, columns, labels)


def test_a_row_is_picture_truth_prediction_and_cut_out() -> None:
    image = np.full((40, 40, 3), (200, 100, 0), np.uint8)
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :20] = 255
    prob = np.full((40, 40), 0.5, np.float32)
    row = sheet.row(image, mask, prob, side=40, background=(0, 0, 0))
    assert row.shape == (40, 4 * 40 + 3 * 4, 3)
    picture, truth, prediction, cut_out = (row[:, left : left + 40] for left in (0, 44, 88, 132))
    assert np.array_equal(picture, image)
    assert np.array_equal(truth, np.repeat(mask[..., None], 3, axis=2))
    assert np.unique(prediction).tolist() == [128]
    assert np.unique(cut_out.reshape(-1, 3), axis=0).tolist() == [[100, 50, 0]]


def test_a_row_keeps_the_aspect() -> None:
    image, mask, prob = np.full((1000, 250, 3), 255, np.uint8), np.zeros((1000, 250), np.uint8), np.zeros((1000, 250), np.float32)
    row = sheet.row(image, mask, prob, side=64)
    assert row.shape[0] == 64
    assert count(row[:, :64], (255, 255, 255)) == 64 * 16


def test_a_cut_out_blends_with_the_soft_prob() -> None:
    image = np.full((1, 3, 3), (250, 50, 0), np.uint8)
    out = sheet.cut_out(image, np.array([[0.0, 0.25, 1.0]], np.float32), (10, 10, 200))
    assert out.tolist() == [[[10, 10, 200], [70, 20, 150], [250, 50, 0]]]


def test_a_cut_out_without_a_person_is_the_checkerboard() -> None:
    out = sheet.cut_out(np.zeros((24, 24, 3), np.uint8), np.zeros((24, 24), np.float32))
    assert np.array_equal(out, sheet.checkerboard((24, 24)))
    assert np.unique(out[:12, :12]).tolist() == [204]
    assert np.unique(out[:12, 12:]).tolist() == [255]


def test_an_outline_follows_the_mask_and_nothing_else() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:30, 5:25] = 255
    out = sheet.outline(image, mask, (255, 255, 0))
    drawn = (out == (255, 255, 0)).all(-1)
    expected = np.zeros((40, 40), bool)
    expected[10:30, 5:25] = True
    expected[11:29, 6:24] = False
    assert np.array_equal(drawn, expected)
    assert not image.any()  # the original is left alone
