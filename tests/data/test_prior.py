"""The prior channel: what is moved, by how much, and that picture and mask stay together."""

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator

from portraitseg.data.prior import CONTROL, Motion, _blur, add_prior, draw_motion, pixel_centres, spline_weights

SIZE = (48, 64)


def sample() -> tuple[np.ndarray, np.ndarray]:
    """An ellipse as the mask, and as the picture too, in each of its channels."""
    rows, columns = np.indices(SIZE)
    mask = (((rows - 26) / 15) ** 2 + ((columns - 30) / 11) ** 2 < 1).astype(np.float32)[..., None]
    return np.dstack([mask, mask, mask, np.zeros_like(mask)]), mask


def test_an_empty_prior_leaves_the_sample_as_it_came() -> None:
    x, mask = sample()
    for seed in range(20):
        got, masks = add_prior(x, [mask], empty=1.0, seed=seed)
        assert got is x
        assert masks[0] is mask


def test_either_the_picture_moves_with_its_masks_or_the_prior_alone() -> None:
    x, mask = sample()
    moved_picture = moved_prior = 0
    for seed in range(200):
        got, masks = add_prior(x, [mask, 1 - mask], empty=0.0, seed=seed)
        picture, prior = got[..., :3], got[..., 3:]
        assert (got.shape, got.dtype, prior.min() >= 0, prior.max() <= 1) == (x.shape, np.float32, True, True)
        if np.array_equal(picture, x[..., :3]):
            assert np.array_equal(masks[0], mask)
            moved_prior += not np.array_equal(prior, mask)
        else:
            assert np.array_equal(prior, mask)
            assert np.allclose(picture, masks[0], atol=1e-6)  # the picture was the mask: they went the same way
            assert np.allclose(masks[1], 1 - masks[0], atol=1e-5)  # and so did the second mask
            moved_picture += 1
    assert 70 < moved_picture < 125  # half of 200, less the sixteenth that stands still
    assert 70 < moved_prior < 125


def test_half_of_the_priors_are_empty_by_a_share_of_one_half() -> None:
    x, mask = sample()
    empty = sum(not add_prior(x, [mask], empty=0.5, seed=seed)[0][..., 3].any() for seed in range(300))
    assert 120 < empty < 180


def test_a_prior_is_a_pure_function_of_its_seed() -> None:
    x, mask = sample()
    first, again, other = (add_prior(x, [mask], empty=0.0, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1][0], again[1][0])
    assert not np.array_equal(first[0], other[0])
    assert not x[..., 3].any()  # what came is not written to


def test_the_spline_is_scipys() -> None:
    moves = np.random.default_rng(0).uniform(-5, 5, (9, 2))
    pixels = ((pixel_centres(SIZE) + 0.5) / (SIZE[1], SIZE[0])).reshape(-1, 2)
    wanted = RBFInterpolator(CONTROL, moves, kernel="thin_plate_spline", degree=1)(pixels)
    got = spline_weights(SIZE) @ moves.astype(np.float32)
    assert np.abs(got.reshape(-1, 2) - wanted).max() < 1e-4


def test_a_displacement_by_hand() -> None:
    _, mask = sample()
    moved = Motion(None, pixel_centres(SIZE) + np.float32([3, -2]))(mask)  # each pixel comes from 3 to the right and 2 above
    assert np.array_equal(moved[2:, :-3], mask[:-2, 3:])


def test_a_blur_is_a_line_of_its_length() -> None:
    point = np.zeros((64, 64, 1), np.float32)
    point[32, 32] = 1
    flat, upright, slanted = (Motion(_blur(10, angle), None)(point)[..., 0] for angle in (0, np.pi / 2, np.pi / 4))
    assert np.allclose(flat[32, 27:38], 1 / 11)
    assert np.allclose(upright[27:38, 32], 1 / 11)
    assert np.allclose(np.diag(slanted)[28:37], 1 / 9)  # 4 steps of a diagonal either way are 5.7 px
    for line in (flat, upright, slanted):
        assert line.sum() == pytest.approx(1, abs=1e-5)


def test_the_four_motions_come_by_halves_and_stay_small() -> None:
    random = np.random.default_rng(0)
    motions = [draw_motion(random, (224, 224)) for _ in range(200)]
    assert 78 < sum(motion.kernel is None for motion in motions) < 122
    assert 12 < sum(motion.points is None for motion in motions) < 40  # an eighth
    reach = [np.linalg.norm(motion.points - pixel_centres((224, 224)), axis=2).mean() for motion in motions if motion.points is not None]
    assert 4 < np.median(reach) < 20  # a control point moves 0.05 of 224 px at the most, twice and each way: 22 px
    assert max(motion.kernel.shape[0] for motion in motions if motion.kernel is not None) in (29, 31)


def test_blur_lengths_grow_with_the_net() -> None:
    sides = [
        max(motion.kernel.shape[0] for motion in (draw_motion(random, (side, side)) for _ in range(40)) if motion.kernel is not None)
        for side, random in ((112, np.random.default_rng(0)), (448, np.random.default_rng(0)))
    ]
    assert sides[0] <= 17
    assert 50 < sides[1] <= 61
