"""Colour transfer against Reinhard's formula in floating point."""

import cv2
import numpy as np
import pytest

from portraitseg.compose.colour_transfer import MOST, ColourTransfer, statistics


def patches(low: int, high: int, seed: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Smooth coloured noise, (H,W,3)."""
    random = np.random.default_rng(seed)
    small = random.integers(low, high, (6, 8, 3), np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)


def lab(image: np.ndarray) -> np.ndarray:
    """In floating point, on OpenCV's scale of bytes."""
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).reshape(-1, 3) * [2.55, 1, 1] + [0, 128, 128]


def test_the_person_gets_the_backgrounds_mean_and_spread() -> None:
    person, background = patches(60, 130, 0), patches(90, 200, 1)
    result = ColourTransfer(strength=1)(person, np.full((60, 80), 255, np.uint8), background)
    assert lab(result).mean(axis=0) == pytest.approx(lab(background).mean(axis=0), abs=1)
    assert lab(result).std(axis=0) == pytest.approx(lab(background).std(axis=0), abs=1)


def test_it_is_reinhards_formula() -> None:
    person, background = patches(60, 130, 0), patches(90, 170, 1)
    source, target = lab(person), lab(background)
    moved = (source - source.mean(axis=0)) * (target.std(axis=0) / source.std(axis=0)) + target.mean(axis=0)
    exact = cv2.cvtColor(((moved - [0, 128, 128]) / [2.55, 1, 1]).astype(np.float32).reshape(60, 80, 3), cv2.COLOR_Lab2RGB) * 255
    result = ColourTransfer(strength=1)(person, np.full((60, 80), 255, np.uint8), background)
    assert np.abs(result - exact).mean() < 2


def test_only_the_person_counts_and_only_the_person_changes() -> None:
    person, background = patches(60, 130, 0), patches(90, 200, 1)
    alpha = np.zeros((60, 80), np.uint8)
    alpha[20:50, 30:60] = 255
    beside = person.copy()
    beside[alpha == 0] = (255, 0, 0)
    transfer = ColourTransfer(strength=1)
    first, second = transfer(person, alpha, background), transfer(beside, alpha, background)
    assert np.array_equal(first[alpha > 0], second[alpha > 0])
    assert np.array_equal(second[:20], beside[:20])
    assert np.abs(first.astype(int) - person)[alpha > 0].mean() > 10


def test_strength_goes_from_nothing_to_all() -> None:
    person, background, alpha = patches(60, 130, 0), patches(90, 200, 1), np.full((60, 80), 255, np.uint8)
    none, half, full = (ColourTransfer(strength=strength)(person, alpha, background).astype(int) for strength in (0, 0.5, 1))
    assert np.abs(none - person).max() <= 3  # there and back through 8-bit Lab
    assert lab(half.astype(np.uint8)).mean(axis=0) == pytest.approx((lab(person).mean(axis=0) + lab(background).mean(axis=0)) / 2, abs=1.5)
    assert np.abs(full - person).mean() > np.abs(half - person).mean() > 5


def test_a_plain_person_does_not_become_noise() -> None:
    person = np.full((60, 80, 3), 100, np.uint8)
    person[::2] += 2
    result = ColourTransfer(strength=1)(person, np.full((60, 80), 255, np.uint8), patches(0, 255, 1))
    assert np.ptp(result[..., 1].astype(int)) <= 2 * MOST + 3


def test_a_person_before_a_plain_wall_keeps_contrast() -> None:
    person = patches(60, 130, 0)
    result = ColourTransfer(strength=1)(person, np.full((60, 80), 255, np.uint8), np.full((60, 80, 3), 120, np.uint8))
    lightness, *colours = lab(result).std(axis=0)
    assert lightness == pytest.approx(lab(person).std(axis=0)[0] / 2, abs=1)
    assert max(colours) < 1  # grey, as the wall


def test_a_jump_of_the_statistics_is_smoothed_over_frames() -> None:
    alpha, background = np.full((60, 80), 255, np.uint8), np.full((60, 80, 3), 120, np.uint8)
    dark, bright = np.full((60, 80, 3), 60, np.uint8), np.full((60, 80, 3), 180, np.uint8)
    calm, nervous = ColourTransfer(strength=1, memory=0.9), ColourTransfer(strength=1)
    for transfer in (calm, nervous):
        transfer(dark, alpha, background)
    assert nervous(bright, alpha, background).mean() == pytest.approx(120, abs=2)
    assert calm(bright, alpha, background).mean() > 150  # the person is still taken for a dark one, who turned bright
    for _ in range(60):
        settled = calm(bright, alpha, background)
    assert settled.mean() == pytest.approx(120, abs=2)


def test_the_backgrounds_statistics_are_taken_once() -> None:
    transfer, alpha = ColourTransfer(strength=1), np.full((60, 80), 255, np.uint8)
    background = np.full((60, 80, 3), 200, np.uint8)
    first = transfer(patches(60, 130, 0), alpha, background)
    background[:] = 20  # a backdrop never changes its picture; here it shows that nobody looked
    assert np.array_equal(transfer(patches(60, 130, 0), alpha, background), first)
    assert transfer(patches(60, 130, 0), alpha, background.copy()).mean() < 60


def test_statistics_are_weighted_means() -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, 10:] = 255
    alpha = np.full((10, 20), 51, np.uint8)
    alpha[:, 10:] = 204
    found = statistics(image, alpha)
    assert found.mean[0] == pytest.approx(0.8 * 255, abs=0.5)
    assert found.spread[0] == pytest.approx(0.4 * 255, abs=0.5)  # sqrt(0.8 * 0.2)
    assert statistics(image, np.zeros((10, 20), np.uint8)).mean[0] == pytest.approx(127.5, abs=0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
@pytest.mark.parametrize("value", [0, 1, 255])
def test_extreme_sizes_and_alphas(size: tuple[int, int], value: int) -> None:
    image, background = np.full((*size, 3), 90, np.uint8), np.full((*size, 3), 200, np.uint8)
    result = ColourTransfer(strength=1)(image, np.full(size, value, np.uint8), background)
    assert np.abs(result.astype(int) - (200 if value else 90)).max() <= 2
