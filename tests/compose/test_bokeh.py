"""Blurred backgrounds against numpy, and against what must not be in them."""

import cv2
import numpy as np
import pytest

from portraitseg.compose import bokeh
from tests.compose.pictures import red_on_blue

BLURS = [bokeh.blur, bokeh.lens]


@pytest.mark.parametrize("blur", BLURS)
@pytest.mark.parametrize(("size", "missed"), [(200, 0), (1000, 0), (1000, 6), (333, 1)])
def test_the_person_does_not_bleed_into_the_blur(blur, size: int, missed: int) -> None:
    blurred = blur(*red_on_blue(size, missed))
    assert blurred[..., 0].max() == 0
    assert blurred[..., 2].min() == 255


@pytest.mark.parametrize("blur", BLURS)
def test_no_thin_part_of_the_person_bleeds(blur) -> None:
    """Fingers and strands are narrower than a pixel of the small copy."""
    image = np.full((720, 1280, 3), (0, 0, 255), np.uint8)
    alpha = np.zeros((720, 1280), np.uint8)
    for left in range(100, 1280, 160):
        image[:, left : left + 6], alpha[:, left : left + 6] = (255, 0, 0), 255
    assert blur(image, alpha)[..., 0].max() <= 2


def test_blur_is_the_gaussian_mean_where_nobody_is() -> None:
    random = np.random.default_rng(0)
    image = cv2.resize(random.integers(0, 256, (9, 16, 3), np.uint8), (640, 360), interpolation=cv2.INTER_CUBIC)
    exact = cv2.GaussianBlur(image.astype(np.float32), (0, 0), bokeh.SIGMA * 640)
    difference = np.abs(bokeh.blur(image) - exact)[40:-40, 40:-40]  # the border is continued in another way
    assert difference.mean() < 1
    assert difference.max() < 5
    assert np.abs(image - exact).mean() > 20


def test_a_weaker_blur_keeps_more() -> None:
    stripes = np.zeros((360, 640, 3), np.uint8)
    stripes[:, (np.arange(640) // 40) % 2 == 0] = 200
    spreads = [float(bokeh.blur(stripes, strength=strength).std()) for strength in (0, 0.3, 0.6, 1, 2)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] == 100
    assert spreads[-1] < 15


def test_a_light_becomes_a_disc_of_the_right_radius() -> None:
    image = np.full((720, 1280, 3), 10, np.uint8)
    cv2.circle(image, (640, 360), 6, (255, 255, 255), -1)
    disc = bokeh.lens(image)[..., 0].astype(float) - 10
    profile = disc[360] > disc.max() / 2
    assert disc.max() > 60  # a mean without the highlights' weight is below
    assert abs(profile.sum() / 2 - bokeh.RADIUS * 1280) < 6
    assert disc[360, 640] > 0.8 * disc.max()  # flat, not a bell
    assert disc[:, :500].max() < 2


@pytest.mark.parametrize("blur", BLURS)
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (7, 3)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_extreme_sizes_and_alphas(blur, size: tuple[int, int], value: int) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    blurred = blur(image, np.full(size, value, np.uint8))
    assert blurred.dtype == np.uint8
    assert np.abs(blurred.astype(int) - image).max() <= 1


@pytest.mark.parametrize("blur", BLURS)
def test_under_a_person_who_fills_the_frame_is_the_pictures_mean(blur) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 100
    assert 20 < blur(image, np.full((40, 60), 255, np.uint8)).mean() < 90
