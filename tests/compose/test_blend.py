"""Blending against pixels worked by hand."""

import numpy as np
import pytest

from portraitseg.compose import blend
from tests.compose.pictures import red_on_blue


def test_blend_at_alpha_0_half_and_1() -> None:
    image = np.full((1, 3, 3), 200, np.uint8)
    background = np.array([100, 50, 0], np.uint8)
    result = blend.blend(image, np.array([[0, 0.5, 1]], np.float32), background)
    assert result.tolist() == [[[100, 50, 0], [150, 125, 100], [200, 200, 200]]]


def test_blend_takes_8_bit_alpha() -> None:
    image, background = np.full((1, 3, 3), 255, np.uint8), np.zeros((1, 3, 3), np.uint8)
    result = blend.blend(image, np.array([[0, 51, 255]], np.uint8), background)
    assert result[0, :, 0].tolist() == [0, 51, 255]


def test_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blend, "BAND", 60)  # 3 rows of 20 pixels, with a remainder of 2
    random = np.random.default_rng(0)
    image, background = random.integers(0, 256, (2, 11, 20, 3), np.uint8)
    alpha = random.random((11, 20), np.float32)
    exact = alpha[..., None] * image + (1 - alpha[..., None]) * background
    assert np.abs(blend.blend(image, alpha, background) - exact).max() <= 0.51
    alpha8 = random.integers(0, 256, (11, 20), np.uint8)
    assert np.array_equal(blend.cut_out(image, alpha8)[..., 3], alpha8)
    assert np.array_equal(blend.cut_out(image, alpha8)[..., :3], np.where(alpha8[..., None] == 0, 0, image))
    assert blend.soft_alpha(np.full((11, 20), 0.5, np.float32)).tolist() == [[128] * 20] * 11


def test_soft_alpha_is_the_smoothstep() -> None:
    # t = (prob - 0.1) / 0.8; t*t*(3 - 2t): 0.3 -> t 0.25 -> 0.15625 -> 39.8 of 255
    prob = np.array([[0, 0.1, 0.3, 0.5, 0.9, 1]], np.float32)
    assert blend.soft_alpha(prob).tolist() == [[0, 0, 40, 128, 255, 255]]


@pytest.mark.parametrize(
    ("shape", "size", "kept"),
    [
        ((2, 6), (4, 4), (slice(None), slice(2, 4))),  # too wide: the middle two of six columns
        ((6, 2), (4, 4), (slice(2, 4), slice(None))),  # too high: the middle two of six rows
        ((4, 4), (2, 4), (slice(1, 3), slice(None))),  # a wide target: the middle two of four rows
    ],
)
def test_cover_crops_to_the_centre(shape: tuple[int, int], size: tuple[int, int], kept: tuple[slice, slice]) -> None:
    background = np.full((*shape, 3), 255, np.uint8)
    background[kept] = 10
    result = blend.cover(background, size)
    assert result.shape == (*size, 3)
    assert (result == 10).all()


def test_cover_is_not_smaller_than_the_part_it_shows() -> None:
    columns = np.repeat(np.arange(0, 80, 10, dtype=np.uint8)[None, :, None], 4, axis=0).repeat(3, axis=2)  # 4,8,3
    assert blend.cover(columns, (4, 4))[0, :, 0].tolist() == [20, 30, 40, 50]


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (7, 3)])
def test_extreme_sizes(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    assert (blend.cover(np.full((50, 30, 3), 90, np.uint8), size) == image).all()
    for alpha in (np.zeros(size, np.uint8), np.full(size, 255, np.uint8)):
        assert (blend.blur_background(image, alpha) == image).all()


@pytest.mark.parametrize(("size", "missed"), [(200, 0), (1000, 0), (1000, 6)])
def test_the_person_does_not_bleed_into_the_blur(size: int, missed: int) -> None:
    image, alpha = red_on_blue(size, missed)
    blurred = blend.blur_background(image, alpha)
    assert blurred[..., 0].max() == 0
    assert blurred[..., 2].min() == 255


def test_blur_smooths_the_background_and_keeps_its_mean() -> None:
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 200
    blurred = blend.blur_background(stripes, np.zeros((300, 300), np.uint8))
    assert np.ptp(blurred) <= 2
    assert abs(float(blurred.mean()) - 100) < 1
