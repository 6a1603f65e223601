"""The Laplacian pyramid against OpenCV's, and a case worked by hand."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from portraitseg import losses
from portraitseg.losses.smoothing import double, smooth


def numpy_double(small, height, width):
    """OpenCV's pyrUp, with the border mirrored as ours is."""
    return cv2.pyrUp(np.pad(small, 1, mode="symmetric"))[2 : 2 + height, 2 : 2 + width]


def numpy_laplacian(difference, levels):
    value = 0.0
    for level in range(levels):
        small = cv2.pyrDown(difference, borderType=cv2.BORDER_REFLECT)
        value += 2**level * np.abs(difference - numpy_double(small, *difference.shape)).mean()
        difference = small
    return value


@pytest.mark.parametrize("shape", [(64, 64), (45, 70), (33, 32)])
def test_halving_and_doubling_are_opencvs(shape):
    picture = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    small = smooth(tf.constant(picture[None, ..., None]), 2)
    wanted = cv2.pyrDown(picture, borderType=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(small[0, ..., 0], wanted, atol=1e-6)
    np.testing.assert_allclose(double(small, *shape)[0, ..., 0], numpy_double(wanted, *shape), atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (224, 224), (45, 70), (33, 32)])
@pytest.mark.parametrize("soft", [True, False])
def test_laplacian_against_opencv(shape, soft):
    random = np.random.default_rng(1)
    mask = cv2.GaussianBlur(random.uniform(size=(2, *shape)).astype(np.float32).transpose(1, 2, 0), (0, 0), 3).transpose(2, 0, 1)
    mask = mask if soft else (mask > mask.mean()).astype(np.float32)
    logits = random.normal(size=mask.shape).astype(np.float32)
    difference = 1 / (1 + np.exp(-logits.astype(np.float64))) - mask
    wanted = np.mean([numpy_laplacian(picture, 5) for picture in difference])
    assert float(losses.laplacian_loss(mask[..., None], logits[..., None])) == pytest.approx(wanted, rel=1e-4)


def test_laplacian_by_hand():
    """One level, a difference of 1/2 in one inner pixel.

    Halved, its row holds 6/16 of it at its own place and 1/16 on each side; doubled, each of these spreads by (1, 4, 6, 4, 1) / 8. The
    columns do the same, and what comes back is subtracted.
    """
    logits, mask = np.zeros((1, 16, 16, 1), np.float32), np.full((1, 16, 16, 1), 0.5, np.float32)
    mask[0, 8, 8] = 0.0
    back = np.array([1, 4, 12, 28, 38, 28, 12, 4, 1]) / 128  # 38 = 1 * 1 + 6 * 6 + 1 * 1
    left = -np.outer(back, back) / 2
    left[4, 4] += 0.5
    assert float(losses.laplacian_loss(mask, logits, levels=1)) == pytest.approx(np.abs(left).sum() / 256, rel=1e-5)


def test_a_constant_difference_has_no_laplacian_but_a_shift_of_the_edge_has():
    mask, half = np.zeros((1, 32, 32, 1), np.float32), np.zeros((1, 32, 32, 1), np.float32)
    half[:, :, :16] = 1
    assert float(losses.laplacian_loss(mask, mask)) == pytest.approx(0, abs=1e-6)
    near, far = (float(losses.laplacian_loss(half, 200 * np.roll(half, shift, 2) - 100)) for shift in (1, 4))
    assert 0.01 < near < far


def test_small_pictures_have_fewer_levels():
    mask = np.random.default_rng(2).uniform(size=(1, 3, 5, 1)).astype(np.float32)
    assert 0 < float(losses.laplacian_loss(mask, mask * 0)) < 10
