"""Colours at soft edges against colours that were mixed by the test."""

import numpy as np
import pytest

from portraitseg.compose.foreground import Decontaminator
from portraitseg.errors import InputError

RED, GREEN, BLUE = (200, 40, 30), (20, 180, 60), (30, 40, 210)


def ramp(size: tuple[int, int] = (120, 640)) -> np.ndarray:
    """An alpha from 0 on the left to 255 on the right, soft over the middle 24 columns."""
    columns = np.clip((np.arange(size[1]) - size[1] // 2 + 12) / 24, 0, 1)
    return np.broadcast_to(np.rint(255 * columns).astype(np.uint8), size).copy()


def mix(front: object, alpha: np.ndarray, back: object) -> np.ndarray:
    share = alpha[..., None] / 255
    return np.rint(share * np.asarray(front) + (1 - share) * np.asarray(back)).astype(np.uint8)


def test_one_colour_before_another_is_found_again() -> None:
    alpha = ramp()
    image = mix(RED, alpha, GREEN)
    result = Decontaminator()(image, alpha)
    seen = alpha > 25
    assert np.abs(image.astype(int) - RED)[seen].max() > 100  # the green that shines through
    assert np.abs(result.astype(int) - RED)[seen].max() <= 20
    over_blue = mix(result, alpha, BLUE).astype(int)
    assert np.abs(over_blue - mix(RED, alpha, BLUE)).max() <= 6


def test_an_alpha_that_is_too_small_gives_no_colour_beyond_white() -> None:
    image = mix((255, 255, 255), ramp(), (0, 0, 0))
    late = np.roll(ramp(), 8, axis=1)
    late[:, :8] = 0
    assert Decontaminator()(image, late)[late > 25].min() > 240


def test_detail_of_the_soft_edge_is_kept() -> None:
    alpha = ramp()
    stripes = np.where(np.arange(120)[:, None, None] // 3 % 2 == 0, (200, 40, 30), (150, 90, 60)) + np.zeros((1, 640, 1))
    image = mix(stripes, alpha, GREEN)
    result = Decontaminator()(image, alpha).astype(float)
    seen = (alpha > 127) & (alpha < 255)
    assert np.abs(result - stripes)[seen].mean() < 0.4 * np.abs(image - stripes)[seen].mean()


def test_sure_pixels_stay_as_they_are() -> None:
    alpha, image = ramp(), np.random.default_rng(0).integers(0, 256, (120, 640, 3), np.uint8)
    before = image.copy()
    result = Decontaminator()(image, alpha)
    assert np.array_equal(result[alpha == 255], image[alpha == 255])
    assert np.array_equal(result[:, :290], image[:, :290])  # away from the edge also where there is nobody
    assert np.array_equal(image, before)


def test_a_picture_of_one_colour_stays_as_it_is() -> None:
    image = np.full((120, 640, 3), RED, np.uint8)
    for alpha in (ramp(), np.full((120, 640), 100, np.uint8), np.zeros((120, 640), np.uint8)):
        assert np.abs(Decontaminator()(image, alpha).astype(int) - RED).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (37, 61)])
def test_any_size_with_one_decontaminator(size: tuple[int, int]) -> None:
    random, decontaminator = np.random.default_rng(0), Decontaminator()
    for shape in ((120, 640), size, (120, 640)):
        image, alpha = random.integers(0, 256, (*shape, 3), np.uint8), random.integers(0, 256, shape, np.uint8)
        out = np.zeros_like(image)
        assert np.array_equal(decontaminator(image, alpha), Decontaminator()(image, alpha))
        assert decontaminator(image[::-1], alpha[::-1], out) is out


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="one size"):
        Decontaminator()(np.zeros((8, 16, 3), np.uint8), ramp())
