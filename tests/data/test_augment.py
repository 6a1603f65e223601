from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from portraitseg.data import warp
from portraitseg.data.augment import Augment, AugmentConfig
from portraitseg.data.colour_curve import DOWN, UP, ColourCurve

GEOMETRY = AugmentConfig(level="strong", colour=0, quality=0)


def checkerboard(size: tuple[int, int], square: int) -> np.ndarray:
    rows, columns = np.indices(size) // square
    return (255 * ((rows + columns) % 2)).astype(np.uint8)


def displacement(image: np.ndarray, mask: np.ndarray) -> float:
    """How far the edges of the thresholded picture lie from the mask's, in pixels: the area between them by their length."""
    grey = image.mean(-1)
    truth = mask > 127
    middle = (np.median(grey[mask > 250]) + np.median(grey[mask < 5])) / 2
    edge = (truth[:, 1:] != truth[:, :-1]).sum() + (truth[1:] != truth[:-1]).sum()
    return float(((grey > middle) != truth).sum() / edge)


def standing(size: tuple[int, int], centre: tuple[int, int], axes: tuple[int, int]) -> np.ndarray:
    return cv2.ellipse(np.zeros(size, np.uint8), centre, axes, 0, 0, 360, 255, -1)


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(400, 512), (900, 500), (130, 100)])
def test_geometry_moves_picture_and_mask_alike(size: tuple[int, int], fit: str) -> None:
    mask = checkerboard(size, size[1] // 6)
    change = Augment((128, 160), GEOMETRY, fit=fit)
    for seed in range(20):
        moved, moved_mask = change(np.dstack([mask] * 3), mask, seed)
        assert moved.shape == (128, 160, 3)
        assert moved_mask.shape == (128, 160)
        assert np.abs(moved.astype(int) - moved_mask[..., None]).max() <= 1
        assert 0.1 < (moved_mask > 127).mean() < 0.9


def test_the_whole_chain_keeps_picture_and_mask_in_register() -> None:
    mask = checkerboard((400, 512), 64)
    change = Augment((160, 160), AugmentConfig(level="strong"))
    moved = [displacement(*change(np.dstack([mask] * 3), mask, seed)) for seed in range(120)]
    assert max(moved) < 0.25


@pytest.mark.parametrize("level", ["light", "default", "strong"])
def test_a_sample_is_a_pure_function_of_its_seed_in_any_thread(level: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    mask = standing((90, 70), (35, 50), (20, 35))
    change = Augment((64, 64), AugmentConfig(level=level))
    serial = [change(image, mask, seed) for seed in range(60)]
    with ThreadPoolExecutor(4) as pool:
        threads = list(pool.map(lambda seed: change(image, mask, seed), range(60)))
    again = Augment((64, 64), AugmentConfig(level=level))
    for seed in reversed(range(60)):  # nor does it depend on what came before
        first = serial[seed]
        for other in (threads[seed], again(image, mask, seed)):
            assert np.array_equal(first[0], other[0])
            assert np.array_equal(first[1], other[1])
    assert len({sample[0].tobytes() for sample in serial}) == 60


def test_transforms_are_drawn_independently() -> None:
    """With one seed for all, as Compose.set_random_seed deals it out, noise and blur (p = 0.12 each) would always come together."""
    step = np.zeros((64, 64, 3), np.uint8)
    step[:, :32], step[:, 32:] = 60, 180
    change = Augment((64, 64), AugmentConfig(geometry=0, colour=0))
    samples = [change(step, step[..., 0], seed)[0].astype(float) for seed in range(500)]
    noisy = [sample[:, 4:24].std() > 0.5 for sample in samples]
    blurred = [sample[:, 31].mean() > 75 for sample in samples]
    both = sum(a and b for a, b in zip(noisy, blurred, strict=True))
    assert 35 < sum(noisy) < 85
    assert 25 < sum(blurred) < 85  # a vertical blur leaves this edge alone
    assert 0 < both < sum(noisy) / 2


def test_the_person_stays_in_the_picture() -> None:
    size = (400, 300)
    for centre in ((60, 150), (240, 150), (150, 290)):
        mask = standing(size, centre, (40, 100))
        share = (mask > 127).mean()
        change = Augment((96, 96), GEOMETRY)
        kept = [(change(np.zeros((*size, 3), np.uint8), mask, seed)[1] > 127).mean() for seed in range(150)]
        assert min(kept) > 0.3 * share


def test_an_empty_mask_is_augmented_too() -> None:
    _, mask = Augment((64, 64), AugmentConfig(level="strong"))(np.zeros((80, 80, 3), np.uint8), np.zeros((80, 80), np.uint8), 3)
    assert not mask.any()


def test_level_none_returns_the_sample_as_it_is() -> None:
    image, mask = np.full((50, 40, 3), 7, np.uint8), np.full((50, 40), 9, np.uint8)
    same, same_mask = Augment((32, 32), AugmentConfig(level="none"))(image, mask, 0)
    assert np.array_equal(same, image)
    assert np.array_equal(same_mask, mask)


def test_without_geometry_halving_averages_blocks_of_four() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    half, _ = Augment((32, 48), AugmentConfig(geometry=0, colour=0, quality=0))(image, image[..., 0], 0)
    blocks = image.reshape(32, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(half - blocks).max() <= 0.5


def test_shrinking_does_not_alias() -> None:
    finest = checkerboard((512, 512), 1)
    small, _ = Augment((128, 128), GEOMETRY)(np.dstack([finest] * 3), np.zeros_like(finest), 5)
    assert small.std() < 3


def test_a_letterboxed_picture_keeps_its_aspect_on_the_border_colour() -> None:
    image, mask = np.full((50, 100, 3), (200, 30, 90), np.uint8), np.full((50, 100), 255, np.uint8)
    border = np.array([124, 116, 104], np.uint8)
    change = Augment((64, 64), AugmentConfig(geometry=0, colour=0, quality=0), fit="letterbox", border=border)
    boxed, boxed_mask = change(image, mask, 0)
    expected = np.tile(border, (64, 64, 1))
    expected[16:48] = (200, 30, 90)  # 100x50 in 64x64: 32 rows
    assert (
        np.abs(
            boxed[[*range(15), *range(17, 47), *range(49, 64)]].astype(int) - expected[[*range(15), *range(17, 47), *range(49, 64)]]
        ).max()
        == 0
    )
    assert abs((boxed_mask / 255).sum() - 64 * 32) < 64


def test_each_family_can_be_left_out() -> None:
    image = np.tile(np.array([180, 90, 40], np.uint8), (64, 64, 1))
    mask = standing((64, 64), (20, 40), (12, 20))
    plain = [Augment((64, 64), GEOMETRY)(image, mask, seed) for seed in range(30)]
    assert all(np.array_equal(sample, image) for sample, _ in plain)
    still = [Augment((64, 64), AugmentConfig(level="strong", geometry=0))(image, mask, seed) for seed in range(30)]
    assert all(np.array_equal(changed, mask) for _, changed in still)
    assert any(not np.array_equal(sample, image) for sample, _ in still)


def test_half_of_the_pictures_are_mirrored() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255
    change = Augment((64, 64), AugmentConfig(level="light", colour=0, quality=0))
    mirrored = sum(change(image, np.zeros((64, 64), np.uint8), seed)[0][:, :8].mean() > 127 for seed in range(200))
    assert 70 < mirrored < 130


def test_colour_curves_pass_through_the_published_knots() -> None:
    assert UP[[0, 64, 128, 192]].round().tolist() == [0, 70, 140, 210]
    assert DOWN[[0, 64, 128, 192]].round().tolist() == [0, 30, 80, 120]
    assert (np.diff(UP) >= 0).all()
    assert (np.diff(DOWN) >= 0).all()


def test_warm_raises_red_and_lowers_blue_and_cool_the_reverse() -> None:
    grey = np.full((4, 4, 3), 128, np.uint8)
    curve = ColourCurve()
    assert curve.apply(grey, warm=True, amount=1.0)[0, 0].tolist() == [140, 128, 80]
    assert curve.apply(grey, warm=False, amount=0.5)[0, 0].tolist() == [104, 128, 134]


def test_a_view_turns_about_its_centre_without_shear() -> None:
    """A disc in the middle of a square picture stays a disc in the middle, whatever the angle."""
    disc = standing((201, 201), (100, 100), (60, 60))
    matrix = warp._matrix(np.array([67.0, 67.0]), np.array([201.0, 201.0]), np.array([100.5, 100.5]), np.deg2rad(25), mirror=True)
    turned = warp.Warp((67, 67)).apply_to_mask(disc, np.array([201.0, 201.0]), matrix)
    rows, columns = np.nonzero(turned > 127)
    assert abs(rows.mean() - 33) < 0.05
    assert abs(columns.mean() - 33) < 0.05
    assert abs(len(rows) - np.pi * 20**2) < 40
