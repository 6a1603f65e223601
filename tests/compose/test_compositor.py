"""The fast composite against the plain formula, and its alpha against `blend.soft_alpha`."""

import tracemalloc

import cv2
import numpy as np
import pytest

from portraitseg.compose import blend
from portraitseg.compose.compositor import Compositor, enlarge, levels
from portraitseg.compose.fit import flat
from portraitseg.errors import InputError

SIZES = [(1, 1), (1, 7), (5, 1), (3, 3), (7, 12), (9, 10), (36, 64), (45, 80), (200, 24)]


def scene(size: tuple[int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture of noise, an alpha with sure parts and a soft edge, and a background of noise."""
    random = np.random.default_rng(seed)
    image, background = random.integers(0, 256, (2, *size, 3), np.uint8)
    ramp = np.linspace(-400, 700, size[1]) + random.uniform(-60, 60, (size[0], 1))
    return image, np.clip(ramp, 0, 255).astype(np.uint8), background


def mixed(image: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The formula in float64, rounded to nearest."""
    share = alpha[..., None] / 255
    return np.floor(share * image + (1 - share) * background + 0.5 + 1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_composite_is_the_rounded_formula(size: tuple[int, int]) -> None:
    image, alpha, background = scene(size)
    result = Compositor()(image, alpha, background)
    assert np.array_equal(result, mixed(image, alpha, background))
    assert np.abs(result.astype(int) - blend.blend(image, alpha, background)).max() <= 1


def test_every_alpha_with_extreme_and_with_any_colours() -> None:
    alpha = np.repeat(np.arange(256, dtype=np.uint8)[None], 256, axis=0)
    for front, back in ((255, 0), (0, 255), (255, 255), (np.arange(256)[:, None, None], 100)):
        image, background = (np.broadcast_to(np.asarray(value, np.uint8), (256, 256, 3)) for value in (front, back))
        assert np.array_equal(Compositor()(image, alpha, background), mixed(image, alpha, background))


def test_frames_of_changing_size_and_colour_share_one_compositor() -> None:
    compositor = Compositor()
    for seed, size in enumerate([*SIZES, *reversed(SIZES)]):
        image, alpha, background = scene(size, seed)
        assert np.array_equal(compositor(image, alpha, background), mixed(image, alpha, background))
        colour = background[0, 0]
        assert np.array_equal(compositor(image, alpha, flat(colour, size)), mixed(image, alpha, colour))
        assert np.array_equal(compositor(image, alpha, colour), mixed(image, alpha, colour))


def test_pictures_that_are_views_and_an_output_that_is_given() -> None:
    image, alpha, background = scene((20, 48))
    views = image[:, ::-1], alpha[::-1, ::2].repeat(2, axis=1)[:, :48], np.asfortranarray(background)
    out = np.zeros((20, 48, 3), np.uint8)
    assert Compositor()(*views, out=out) is out
    assert np.array_equal(out, mixed(*views))


def test_inputs_stay_as_they_are() -> None:
    image, alpha, background = scene((16, 32))
    copies = image.copy(), alpha.copy(), background.copy()
    Compositor()(image, alpha, background)
    assert all(np.array_equal(now, before) for now, before in zip((image, alpha, background), copies, strict=True))


def test_sizes_that_differ_are_refused() -> None:
    image, alpha, background = scene((16, 32))
    with pytest.raises(InputError, match="one size"):
        Compositor()(image, alpha[:8], background)
    with pytest.raises(InputError, match="one size"):
        Compositor()(image, alpha, background[:8])


def test_memory_is_kept_from_frame_to_frame() -> None:
    image, alpha, background = scene((360, 640))
    compositor, whole = Compositor(), cv2.LUT(alpha, np.where(np.arange(256) > 0, 255, 0).astype(np.uint8))
    compositor(image, np.full_like(alpha, 127), background)  # all of it soft: more than the frames below need
    tracemalloc.start()
    for _ in range(3):
        compositor(image, alpha, background)
        compositor(image, whole, background)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < image.size / 4  # no new frame, in bytes or wider


def test_levels_are_soft_alpha_s_at_its_bounds() -> None:
    prob = np.arange(256, dtype=np.float32)[None] / 255
    assert np.array_equal(levels(0.5, 0.8)[None], blend.soft_alpha(prob, low=0.1, high=0.9))
    assert np.abs(levels(0.4, 0.2).astype(int) - blend.soft_alpha(prob, low=0.3, high=0.5)).max() <= 1


@pytest.mark.parametrize("threshold", [0, 0.05, 0.2, 0.5, 0.9, 1])
@pytest.mark.parametrize("feather", [0, 0.3, 1])
def test_levels_keep_what_is_sure_and_never_fall(threshold: float, feather: float) -> None:
    table = levels(threshold, feather).astype(int)
    assert (table[0], table[255]) == (0, 255)
    assert (np.diff(table) >= 0).all()
    assert np.searchsorted(table, 128) / 255 == pytest.approx(threshold, abs=1.01 / 255)
    assert ((table > 0) & (table < 255)).sum() <= feather * 255 + 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bounds", [(0.5, 0.8), (0.5, 0), (0, 0.3), (1, 0.3), (0.2, 1)])
def test_look_up_is_opencv_s_and_its_band_is_all_that_the_composite_needs(size: tuple[int, int], bounds: tuple[float, float]) -> None:
    image, large, background = scene(size)
    compositor, table = Compositor(), levels(*bounds)
    alpha, band = compositor.look_up(large, table)
    assert np.array_equal(alpha, cv2.LUT(large, table))
    assert np.array_equal(compositor(image, alpha, background, band=band), mixed(image, alpha, background))


def test_hard_levels_have_two_values() -> None:
    assert levels(0.5, 0).tolist() == [0] * 128 + [255] * 128


@pytest.mark.parametrize("wrong", [(-0.1, 0.5), (1.1, 0.5), (0.5, -1), (0.5, 2), (float("nan"), 0.5)])
def test_levels_out_of_range_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        levels(*wrong)


def test_enlarge_is_bilinear_between_pixel_centres() -> None:
    # two pixels 0 and 1 over four: centres at 1/4, 3/4 of 2 px -> 0, 1/4, 3/4, 1
    assert enlarge(np.array([[0, 1]], np.float32), (1, 4)).tolist() == [[0, 64, 191, 255]]
    out = np.zeros((6, 8), np.uint8)
    assert enlarge(np.full((3, 2), 0.2, np.float32), (6, 8), out).max() == 51
    assert (out == 51).all()
