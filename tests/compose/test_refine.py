"""The guided filter against the textbook's loops, and what it does for edges that are finer than the net's pixels."""

import cv2
import numpy as np
import pytest

from portraitseg.compose import refine
from portraitseg.compose.compositor import enlarge
from portraitseg.compose.refine import Refiner


def spikes(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A dark figure whose upper edge is a comb of thin spikes, before a bright background, with noise; and its exact mask."""
    height, width = size
    mask = np.zeros(size, np.uint8)
    mask[height // 2 :, width // 4 : 3 * width // 4] = 255
    for left in range(width // 4, 3 * width // 4, 16):
        mask[height // 2 - 10 : height // 2, left : left + 6] = 255
    noise = np.random.default_rng(0).normal(0, 4, (*size, 3))
    image = np.where(mask[..., None] > 0, (60, 40, 30), (180, 190, 120)) + noise
    return image.clip(0, 255).astype(np.uint8), mask


def coarse(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What a net of (h,w) can know of a mask."""
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def textbook(guide: np.ndarray, prob: np.ndarray) -> np.ndarray:
    """He 2010, equations 19 to 21, pixel by pixel in float64 at one size; windows are mirrored at the rim."""
    r, (height, width) = refine.RADIUS, prob.shape
    colours, values = (np.pad(x.astype(float), [(r, r), (r, r), (0, 0)][: x.ndim], mode="reflect") for x in (guide, prob))
    a, b = np.empty((height, width, 3)), np.empty((height, width))
    for y in range(height):
        for x in range(width):
            c, p = colours[y : y + 2 * r + 1, x : x + 2 * r + 1].reshape(-1, 3), values[y : y + 2 * r + 1, x : x + 2 * r + 1].ravel()
            covariance = np.cov(c.T, bias=True) + refine.SMOOTHNESS * np.eye(3)
            a[y, x] = np.linalg.solve(covariance, (c * p[:, None]).mean(0) - c.mean(0) * p.mean())
            b[y, x] = p.mean() - a[y, x] @ c.mean(0)
    a, b = (cv2.blur(x, (2 * r + 1, 2 * r + 1)) for x in (a, b))
    return (a * guide).sum(-1) + b


def test_it_is_the_guided_filter() -> None:
    image, mask = spikes((40, 48))
    prob = coarse(mask, (20, 24))
    prob = cv2.resize(prob, (48, 40), interpolation=cv2.INTER_LINEAR)  # at the image's size: the filter's own arithmetic is left
    expected = np.clip(255 * textbook(image.astype(np.float32) / 255, ((prob - 0.2) / 0.6).clip(0, 1)), 0, 255)
    result = Refiner()(image, prob).astype(float)
    band = np.abs(result - enlarge(prob, (40, 48)).astype(float)) > 0
    assert band.sum() > 200
    assert np.abs(result - expected)[band].max() <= 1


def test_spikes_come_back_that_the_net_cannot_see() -> None:
    image, mask = spikes((360, 640))
    prob = coarse(mask, (96, 96))
    rows = slice(168, 182)  # around the spikes' middle
    before = ((enlarge(prob, (360, 640)) > 127) != (mask > 127))[rows].mean()
    after = ((Refiner()(image, prob) > 127) != (mask > 127))[rows].mean()
    assert after < 0.4 * before


@pytest.mark.parametrize("size", [(360, 640), (361, 640), (719, 322)])
def test_rows_that_share_coefficients_look_as_if_each_had_its_own(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = spikes(size)
    prob = coarse(mask, (48, 48))
    shared = Refiner()(image, prob).astype(int)
    monkeypatch.setattr(refine, "ROWS", 10**6)
    difference = np.abs(shared - Refiner()(image, prob))
    assert difference.max() > 0
    assert np.percentile(difference, 99.9) <= 8


def test_what_is_sure_stays_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = spikes((90, 160))
    prob = coarse(mask, (48, 48))
    result, plain = Refiner()(image, prob), enlarge(prob, (90, 160))
    assert np.array_equal(result[:20], plain[:20])
    assert np.array_equal(result[70:, 60:100], plain[70:, 60:100])
    monkeypatch.setattr(refine, "_coefficients", None)
    for value in (0, 1):
        assert (Refiner()(image, np.full((48, 48), value, np.float32)) == 255 * value).all()


def test_a_flat_picture_gives_the_sharpened_and_smoothed_prob() -> None:
    prob = coarse(spikes((96, 96))[1], (48, 48))
    result = Refiner()(np.full((96, 96, 3), 90, np.uint8), prob)
    side = 2 * refine.RADIUS + 1
    smooth = enlarge(cv2.blur(cv2.blur(((prob - 0.2) / 0.6).clip(0, 1), (side, side)), (side, side)), (96, 96))
    changed = result != enlarge(prob, (96, 96))
    assert changed.any()
    assert np.abs(result.astype(int) - smooth)[changed].max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (7, 5), (37, 61), (480, 854)])
@pytest.mark.parametrize("net", [(1, 1), (9, 16), (256, 256)])
def test_any_size(size: tuple[int, int], net: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    image, prob = random.integers(0, 256, (*size, 3), np.uint8), random.random(net, np.float32)
    result = Refiner()(image, prob)
    assert (result.shape, result.dtype) == (size, np.uint8)


def test_one_refiner_for_frames_of_changing_size_and_an_output_that_is_given() -> None:
    refiner = Refiner()
    for size in ((90, 160), (40, 48), (90, 160)):
        image, mask = spikes(size)
        prob = coarse(mask, (32, 32))
        out = np.zeros(size, np.uint8)
        assert np.array_equal(refiner(image, prob), Refiner()(image, prob))
        assert refiner(np.asfortranarray(image), prob, out) is out
        assert np.array_equal(out, Refiner()(image, prob))
