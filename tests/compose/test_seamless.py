"""Seamless cloning: nothing moves, the edge fits, and no mask makes it fail."""

from functools import partial

import cv2
import numpy as np
import pytest

from portraitseg.compose import seamless as module
from portraitseg.compose.seamless import SeamlessClone

seamless = partial(module.seamless, strength=1)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth picture with detail, (H,W,3)."""
    random = np.random.default_rng(seed)
    return cv2.GaussianBlur(random.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2) // 2 + 60


def ellipse(height: int, width: int, centre: tuple[int, int], axes: tuple[int, int]) -> np.ndarray:
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, centre, axes, 0, 0, 360, 255, -1)
    return alpha


MASKS = {
    "inside": ellipse(90, 160, (80, 45), (30, 30)),
    "odd size": ellipse(91, 161, (80, 45), (31, 30)),
    "bottom": ellipse(90, 160, (80, 90), (30, 50)),
    "corner": ellipse(90, 160, (0, 90), (60, 50)),
    "top to bottom": ellipse(90, 160, (80, 45), (30, 200)),
    "all but a corner": ellipse(90, 160, (160, 90), (200, 110)),
    "one pixel": ellipse(90, 160, (159, 89), (0, 0)),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("side", [0, 64])
def test_a_picture_cloned_into_itself_stays(name: str, side: int) -> None:
    """Were the person moved by a pixel, all detail would differ."""
    alpha = MASKS[name]
    image = noise(*alpha.shape)
    assert np.abs(seamless(image, alpha, image, side=side).astype(int) - image).max() <= 2


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("side", [0, 64])
def test_a_brighter_background_brightens_the_person_by_as_much(name: str, side: int) -> None:
    """The edge differs by 30 everywhere, so the membrane is 30 everywhere, also where the frame cuts the person off."""
    alpha = MASKS[name]
    image = noise(*alpha.shape)
    change = seamless(image, alpha, image + 30, side=side).astype(int) - image
    assert np.abs(change[alpha > 0] - 30).max() <= 2


def test_what_is_hidden_behind_the_person_does_not_count() -> None:
    """Not even at the frame's edge, where the person is cut off and the background would be next to them."""
    alpha = MASKS["bottom"]
    image = noise(*alpha.shape)
    background = np.where(alpha[..., None] > 0, np.uint8(255), image + 30)
    change = seamless(image, alpha, background, side=0).astype(int) - image
    assert np.abs(change[alpha > 0] - 30).max() <= 2


def test_detail_stays_where_it_is() -> None:
    image, background, alpha = noise(240, 320), noise(240, 320, 1), ellipse(240, 320, (161, 119), (70, 81))
    change = seamless(image, alpha, background).astype(float) - image
    inner = ellipse(240, 320, (161, 119), (60, 71)) > 0
    (moved_x, moved_y), _ = cv2.phaseCorrelate(image[..., 0].astype(float) * inner, (image + change)[..., 0] * inner)
    assert abs(moved_x) < 0.05
    assert abs(moved_y) < 0.05
    assert np.abs(cv2.Laplacian(change, cv2.CV_64F))[inner].mean() < 1 < np.abs(cv2.Laplacian(image.astype(float), cv2.CV_64F)).mean()


def test_the_membrane_is_harmonic() -> None:
    """Against Laplace's equation, solved by plain iteration from the same edge."""
    image, alpha = noise(60, 60), ellipse(60, 60, (30, 30), (20, 20))
    ramp = np.repeat(np.arange(60, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)
    change = seamless(image, alpha, image + ramp, side=0).astype(float) - image
    assert np.abs(change - ramp)[ellipse(60, 60, (30, 30), (17, 17)) > 0].max() <= 3  # a ramp is its own membrane


def test_strength_is_a_share_of_the_membrane() -> None:
    image, alpha = noise(90, 160), MASKS["inside"]
    change = seamless(image, alpha, image + 40, strength=0.5).astype(int) - image
    assert np.abs(change[alpha > 0] - 20).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (5, 3)])
@pytest.mark.parametrize("value", [0, 12, 128, 255])
def test_extreme_sizes_and_alphas(size: tuple[int, int], value: int) -> None:
    image, background = np.full((*size, 3), 90, np.uint8), np.full((*size, 3), 200, np.uint8)
    result = seamless(image, np.full(size, value, np.uint8), background)
    assert np.array_equal(result, image)  # nobody there, or nothing behind


@pytest.mark.parametrize("pixel", [(0, 0), (2, 3), (4, 0)])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_person_or_a_background_of_one_pixel(pixel: tuple[int, int], inverted: bool) -> None:
    image, background = np.full((5, 4, 3), 90, np.uint8), np.full((5, 4, 3), 200, np.uint8)
    alpha = np.zeros((5, 4), np.uint8)
    alpha[pixel] = 255
    assert seamless(image, 255 - alpha if inverted else alpha, background, side=0).shape == image.shape


def test_membranes_are_kept_and_smoothed_over_frames() -> None:
    image, alpha = noise(90, 160), MASKS["inside"]

    def changes(clone: SeamlessClone, *brighter: int) -> list[float]:
        return [float(np.mean((clone(image, alpha, image + step).astype(int) - image)[alpha > 0])) for step in brighter]

    kept = SeamlessClone(strength=1, every=3)
    assert changes(kept, 10, 30, 30, 30) == pytest.approx([10, 10, 10, 30], abs=1)  # OpenCV rounds down
    smoothed = SeamlessClone(strength=1, memory=0.5)
    assert changes(smoothed, 10, 30, 30) == pytest.approx([10, 20, 25], abs=1)
    assert smoothed(image[:45], alpha[:45], image[:45]).shape == (45, 160, 3)  # another size in the middle
