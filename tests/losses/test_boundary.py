"""Bands, edges and the losses on them, against loops, OpenCV and numbers worked by hand."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from portraitseg import losses
from portraitseg.losses import edges

LN3 = np.float32(np.log(3))


def tensor(*values: float) -> tf.Tensor:
    return tf.reshape(tf.constant(values, tf.float32), (1, 1, -1, 1))


def people(size=64):
    """Three hard masks (3,h,w,1): a tilted ellipse, a head on shoulders, ragged spots."""
    masks = np.zeros((3, size, size + 6), np.float32)
    cv2.ellipse(masks[0], (30, 28), (22, 12), 25, 0, 360, 1, -1)
    cv2.circle(masks[1], (33, 20), 11, 1, -1)
    cv2.ellipse(masks[1], (33, 64), (27, 30), 0, 0, 360, 1, -1)
    noise = np.random.default_rng(4).normal(size=masks.shape[1:]).astype(np.float32)
    masks[2] = cv2.GaussianBlur(noise, (0, 0), 4) > 0
    return masks[..., None]


def numpy_band(mask, width):
    """Maximum less minimum of each pixel's window, by loops; an even window reaches one further to the right and down."""
    before, after = width // 2, width - width // 2
    band = np.zeros_like(mask)
    for picture, row, column in np.ndindex(mask.shape[:3]):
        around = mask[picture, max(row - before, 0) : row + after + 1, max(column - before, 0) : column + after + 1]
        band[picture, row, column] = around.max() - around.min()
    return band


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8])
def test_the_transition_band_of_a_soft_mask_is_its_change_within_the_window(width):
    mask = np.random.default_rng(0).uniform(size=(2, 12, 9, 1)).astype(np.float32)
    np.testing.assert_allclose(losses.transition_band(tf.constant(mask), width), numpy_band(mask, width), atol=1e-6)


def test_the_transition_band_is_opencvs_dilation_minus_erosion():
    mask = people()
    for width in (4, 8):
        kernel = np.ones((width + 1, width + 1), np.uint8)
        wanted = np.stack([cv2.dilate(picture, kernel) - cv2.erode(picture, kernel) for picture in mask[..., 0]])
        np.testing.assert_array_equal(losses.transition_band(tf.constant(mask), width)[..., 0], wanted)


def test_the_boundary_band_lies_evenly_about_the_edge():
    """Columns 0 to 3 of 10 are the person: the edge is between 3 and 4, the band of width 4 is columns 2 to 5, of width 2, 3 and 4."""
    mask = np.zeros((1, 6, 10, 1), np.float32)
    mask[:, :, :4] = 1
    for width, columns in ((4, [2, 3, 4, 5]), (2, [3, 4]), (3, [2, 3, 4])):
        band = losses.boundary_band(tf.constant(mask), width).numpy()[0, ..., 0]
        assert set(np.unique(band)) == {0, 1}
        assert [np.flatnonzero(row).tolist() for row in band] == [columns] * 6


def test_the_boundary_of_a_soft_mask_is_where_it_passes_one_half():
    soft = tensor(0, 0.2, 0.4, 0.49, 0.5, 0.8, 1)
    assert losses.boundary_band(soft, 2).numpy().ravel().tolist() == [0, 0, 0, 1, 1, 0, 0]


def test_the_contour_is_about_the_one_that_opencv_draws():
    """OpenCV's runs through the person's outermost pixels and is drawn round; ours lies on both sides of the edge and is square."""
    mask = people()[:2]
    drawn = np.zeros(mask.shape[:3], np.uint8)
    for picture, canvas in zip(mask[..., 0].astype(np.uint8), drawn, strict=True):
        contours, _ = cv2.findContours(picture, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, contours, -1, 1, 4)
    ours = losses.BOUNDARIES["contour"](tf.constant(mask), 4).numpy()[..., 0] > 0
    drawn = drawn > 0
    inside = np.s_[:, :58]  # where the person leaves the picture, OpenCV draws the picture's border
    assert (ours & drawn)[inside].sum() / (ours | drawn)[inside].sum() > 0.7


@pytest.mark.parametrize("kind", losses.BOUNDARIES)
@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_a_mask_without_an_edge_has_no_boundary(kind, value):
    """Not at the picture's border either."""
    mask = tf.fill((2, 6, 7, 1), float(value))
    assert not losses.BOUNDARIES[kind](mask, 4).numpy().any()
    assert float(losses.boundary_loss(mask, tf.fill((2, 6, 7, 1), -50.0), kind=kind)) == pytest.approx(0, abs=1e-6)
    # logit ln 3 says boundary with 3/4: focal (3/4)^2 times ln 4
    assert float(losses.boundary_loss(mask, tf.fill((2, 6, 7, 1), LN3), kind=kind)) == pytest.approx(9 / 16 * np.log(4))


def test_sobel_is_opencvs():
    soft = cv2.GaussianBlur(people()[0], (0, 0), 2.5)
    for mask in (*people()[..., 0], soft):
        dx, dy = (cv2.Sobel(mask, cv2.CV_64F, *order) for order in ((1, 0), (0, 1)))
        found = edges.sobel(tf.constant(mask[None, ..., None])).numpy()[0, ..., 0]
        wanted = np.hypot(dx, dy) >= 1
        differs = (found > 0) != wanted
        assert wanted.any()
        assert not (differs & (abs(np.hypot(dx, dy) - 1) > 1e-5)).any()


def test_sobel_takes_the_two_rows_beside_a_hard_edge():
    mask = np.zeros((1, 8, 9, 1), np.float32)
    mask[:, 3:] = 1
    assert [int(row.sum()) for row in edges.sobel(tf.constant(mask)).numpy()[0, ..., 0]] == [0, 0, 9, 9, 0, 0, 0, 0]


@pytest.mark.parametrize("which", range(3))
def test_canny_is_opencvs(which):
    """On hard masks all is exact: the smoothed mask is a multiple of 1/256, so that its gradient can be given to OpenCV in integers."""
    mask = people()[which, ..., 0]
    smoothed = 256 * cv2.GaussianBlur(mask, (5, 5), 0, borderType=cv2.BORDER_REFLECT)
    assert np.array_equal(smoothed, smoothed.round())
    dx, dy = (cv2.Sobel(smoothed, cv2.CV_16S, *order) for order in ((1, 0), (0, 1)))
    low, high = (256 * limit for limit in edges.CANNY)
    wanted = cv2.Canny(dx, dy, low, high, L2gradient=True) > 0
    found = edges.canny(tf.constant(mask[None, ..., None])).numpy()[0, ..., 0]
    assert wanted.sum() > 80
    np.testing.assert_array_equal(found, wanted)


def test_canny_follows_a_fading_edge_and_leaves_one_that_is_faint_throughout():
    """Steps of height h, smoothed: gradient 2.5 h. At 0.2 it is 0.5, between the thresholds; at 1 above both."""
    mask = np.zeros((2, 40, 12, 1), np.float32)
    mask[0, :, 6:] = np.linspace(1, 0, 40)[:, None, None]
    mask[1, :, 6:] = 0.25
    fading, faint = edges.canny(tf.constant(mask)).numpy()[..., 0]
    rows = np.flatnonzero(fading.sum(1))
    assert rows.max() == pytest.approx(39 * (1 - 0.4 / 2.5), abs=1)
    assert len(rows) == rows.max() + 1
    assert not faint.any()


def test_canny_finds_a_soft_edge_in_its_middle():
    """A ramp over 7 columns, steepest in its middle, is one line there."""
    ramp = np.array([0, 0, 0, 0.02, 0.12, 0.5, 0.88, 0.98, 1, 1, 1], np.float32)
    mask = np.tile(ramp, (9, 1))[None, ..., None]
    assert np.argwhere(edges.canny(tf.constant(mask)).numpy()[0, ..., 0])[:, 1].tolist() == [5] * 9


def test_boundary_loss_by_hand():
    """Person, background, 8 columns: with width 4 the band is 2 to 5, half of the pixels; logit ln 3 is right there (1/4)^2 ln(4/3)."""
    mask, logits = tensor(1, 1, 1, 1, 0, 0, 0, 0), tf.fill((1, 1, 8, 1), LN3)
    wanted = (np.log(4 / 3) / 16 + 9 / 16 * np.log(4)) / 2
    assert float(losses.boundary_loss(mask, logits)) == pytest.approx(wanted)
    assert float(losses.boundary_loss(mask, logits, gamma=0.0)) == pytest.approx((np.log(4 / 3) + np.log(4)) / 2)
    pair = tf.concat([logits * 0 + 2, logits + 2], -1)  # two channels whose difference is the one logit
    assert float(losses.boundary_loss(mask, pair)) == pytest.approx(wanted)
    quarter = losses.boundary_loss(mask, logits, width=2)
    assert float(quarter) == pytest.approx((np.log(4 / 3) / 16 + 3 * 9 / 16 * np.log(4)) / 4)


@pytest.mark.parametrize("kind", losses.BOUNDARIES)
def test_each_kind_is_what_its_loss_is_fitted_to(kind):
    mask = tf.constant(people())
    target = losses.BOUNDARIES[kind](mask, 4)
    assert set(np.unique(target)) == {0, 1}
    assert float(losses.boundary_loss(mask, 100 * (2 * target - 1), kind=kind)) == pytest.approx(0, abs=1e-6)


def test_boundary_rmse_by_hand():
    """8 columns, the edge after the fourth; width 2 looks at columns 3 and 4 alone, probs 3/4 and 1/2: errors 1/4 and 1/2."""
    mask, logits = tensor(1, 1, 1, 1, 0, 0, 0, 0), tensor(-9, -9, -9, LN3, 0, 9, 9, 9)
    assert float(losses.boundary_rmse_loss(mask, logits, width=2)) == pytest.approx(np.sqrt((1 / 16 + 1 / 4) / 2))
    assert float(losses.detail_loss(mask, logits, width=2)) == pytest.approx(3 / 8)


@pytest.mark.parametrize("width", [2, 8])
def test_the_losses_within_the_band_against_numpy(width):
    random = np.random.default_rng(1)
    mask = np.concatenate([people(), random.uniform(size=(1, 64, 70, 1)), np.zeros((1, 64, 70, 1))]).astype(np.float32)
    logits = random.normal(size=mask.shape).astype(np.float32)
    error = np.abs(1 / (1 + np.exp(-logits.astype(np.float64))) - mask)
    band = numpy_band(mask, width).astype(np.float64)
    total, axes = np.maximum(band.sum((1, 2, 3)), 1), (1, 2, 3)
    rmse = np.sqrt((band * error**2).sum(axes) / total).mean()
    detail = ((band * error).sum(axes) / total).mean()
    assert float(losses.boundary_rmse_loss(mask, logits, width=width)) == pytest.approx(rmse, rel=1e-4)
    assert float(losses.detail_loss(mask, logits, width=width)) == pytest.approx(detail, rel=1e-4)
