"""Down-sampling of frames against numpy and against the area average."""

import numpy as np
import pytest

from portraitseg import image
from portraitseg.compose.shrink import shrink

FRAME = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


def test_half_is_the_rounded_mean_of_four() -> None:
    four = FRAME.reshape(48, 2, 64, 2, 3).astype(int).sum((1, 3))
    assert np.array_equal(shrink(FRAME, (48, 64)), (four + 2) // 4)


@pytest.mark.parametrize("size", [(24, 32), (40, 40), (96, 32), (96, 128), (100, 140), (20, 28)])
def test_near_the_area_average_at_any_size(size: tuple[int, int]) -> None:
    smooth = image.resize(FRAME[:6, :8], (96, 128))
    small = shrink(smooth, size)
    assert small.shape == (*size, 3)
    assert np.abs(small.astype(int) - image.resize(smooth, size)).mean() < 2


def test_kept_memory_changes_no_pixel_and_is_used_again():
    kept = {}
    first = shrink(FRAME, (23, 40), kept)
    before = {shape: id(memory) for shape, memory in kept.items()}
    shown = first.copy()
    second = shrink(255 - FRAME, (23, 40), kept)
    assert before and {shape: id(memory) for shape, memory in kept.items()} == before
    assert np.array_equal(second, shrink(255 - FRAME, (23, 40)))
    assert np.array_equal(first, shown)  # what was given is not written over
