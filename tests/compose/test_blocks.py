"""Which blocks are picked, worked by hand, and that gathering and putting back are exact."""

import numpy as np
import pytest

from portraitseg.compose.blocks import Blocks, step
from portraitseg.errors import InputError


def test_a_block_is_soft_unless_all_0_or_all_255() -> None:
    alpha = np.zeros((2, 24), np.uint8)
    alpha[0, 8:16] = 255
    alpha[1, 3] = 1  # block 3
    alpha[1, 12:16] = 255  # block 4: 0 and 255 meet
    alpha[1, 16:24] = 255
    alpha[1, 23] = 254  # block 5
    assert Blocks().soft(alpha).tolist() == [3, 4, 5]


@pytest.mark.parametrize(("width", "pixels"), [(1280, 8), (854, 2), (1366, 2), (1, 1), (12, 4), (405, 1)])
def test_blocks_do_not_cross_rows(width: int, pixels: int) -> None:
    assert step((4, width)) == pixels


def test_a_coarse_mask_marks_the_blocks_that_it_covers() -> None:
    mask = np.array([[False, True], [False, False]])
    assert Blocks().marked(mask, (4, 32)).tolist() == [2, 3, 6, 7]  # 4 blocks a row: the right half of the upper two


@pytest.mark.parametrize("width", [16, 12, 10, 7])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_what_is_taken_can_be_put_back(width: int, kind: type) -> None:
    blocks, random = Blocks(), np.random.default_rng(0)
    for channels in ((), (3,)):
        picture = random.integers(0, 256, (6, width, *channels)).astype(kind)
        picked = np.array([1, 3, 4])
        taken = blocks.take("any", picture, picked)
        rows = picture.reshape(-1, step(picture.shape), *channels)
        assert np.array_equal(taken, rows[picked])
        out = np.zeros_like(picture)
        blocks.put(taken, out, picked)
        expected = np.zeros_like(rows)
        expected[picked] = rows[picked]
        assert np.array_equal(out, expected.reshape(picture.shape))


def test_memory_is_used_again_and_grows() -> None:
    blocks = Blocks()
    small, again = blocks.array("a", (10,), np.float32), blocks.array("a", (3, 3), np.float32)
    assert np.shares_memory(small, again)
    assert not np.shares_memory(again, blocks.array("b", (3, 3), np.float32))
    assert blocks.array("a", (100, 100), np.uint16).shape == (100, 100)


def test_an_output_that_does_not_fit_is_refused() -> None:
    gaps, whole = np.zeros((4, 16), np.uint8)[:, ::2], np.zeros((4, 8), np.uint8)
    assert Blocks().output(whole, (4, 8)) is whole
    assert Blocks().output(None, (4, 8)).shape == (4, 8)
    for wrong in (gaps, whole.T, whole.astype(np.float32)):
        with pytest.raises(InputError, match="contiguous uint8"):
            Blocks().output(wrong, (4, 8))
