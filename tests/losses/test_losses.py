"""Losses against numpy and hand-worked cases."""

import numpy as np
import pytest
import tensorflow as tf

from portraitseg import losses
from portraitseg.errors import InputError


def tensor(*values: float) -> tf.Tensor:
    return tf.reshape(tf.constant(values, tf.float32), (1, 1, -1, 1))


def test_bce_by_hand():
    """Logit 0 costs ln 2 whatever the mask; logit ln 3 (prob 3/4) on mask 1 costs ln(4/3)."""
    assert float(losses.bce_loss(tensor(1, 0.5, 0), tensor(0, 0, 0))) == pytest.approx(np.log(2))
    assert float(losses.bce_loss(tensor(1), tensor(np.log(3)))) == pytest.approx(np.log(4 / 3))


def test_dice_by_hand():
    """Probs (3/4, 1/4) on mask (1, 0): overlap 3/4, sum 2; smooth 1 gives 1 - 2.5/3."""
    assert float(losses.dice_loss(tensor(1, 0), tensor(np.log(3), -np.log(3)))) == pytest.approx(1 - 2.5 / 3)


def test_dice_of_empty_and_full_masks_is_finite_and_small_when_right():
    assert float(losses.dice_loss(tensor(0, 0, 0), tensor(-50, -50, -50))) == pytest.approx(0, abs=1e-6)
    assert float(losses.dice_loss(tensor(1, 1, 1), tensor(50, 50, 50))) == pytest.approx(0, abs=1e-6)


def test_dice_averages_over_the_batch():
    masks, logits = tf.concat([tensor(1, 0), tensor(0, 0)], 0), tf.concat([tensor(np.log(3), -np.log(3)), tensor(-50, -50)], 0)
    assert float(losses.dice_loss(masks, logits)) == pytest.approx((1 - 2.5 / 3) / 2)


def test_against_numpy_on_soft_masks():
    random = np.random.default_rng(0)
    mask, logits = random.uniform(size=(3, 5, 7, 1)).astype(np.float32), random.normal(size=(3, 5, 7, 1)).astype(np.float32)
    prob = 1 / (1 + np.exp(-logits.astype(np.float64)))
    bce = -(mask * np.log(prob) + (1 - mask) * np.log(1 - prob)).mean()
    axes = (1, 2, 3)
    dice = (1 - (2 * (mask * prob).sum(axes) + 1) / (mask.sum(axes) + prob.sum(axes) + 1)).mean()
    assert float(losses.bce_loss(mask, logits)) == pytest.approx(bce, rel=1e-5)
    assert float(losses.weighted({"bce": 2, "dice": 0.5})(tf.constant(mask), tf.constant(logits))) == pytest.approx(
        2 * bce + 0.5 * dice, rel=1e-5
    )


def test_two_channels_are_one_by_their_difference():
    """softmax((a, b))[1] = sigmoid(b - a)."""
    pair = tf.constant([[[[0.3, 1.5], [2.0, -1.0]]]])
    np.testing.assert_allclose(tf.sigmoid(losses.person_logits(pair))[..., 0], tf.nn.softmax(pair)[..., 1], rtol=1e-6)


def test_the_boundary_band_lies_evenly_about_the_edge():
    """Columns 0 to 3 of 10 are the person: the edge is between 3 and 4, the band of width 4 is columns 2 to 5, of width 2, 3 and 4."""
    mask = np.zeros((1, 6, 10, 1), np.float32)
    mask[:, :, :4] = 1
    for width, columns in ((4, [2, 3, 4, 5]), (2, [3, 4])):
        band = losses.boundary_band(tf.constant(mask), width).numpy()[0, ..., 0]
        assert set(np.unique(band)) == {0, 1}
        assert [np.flatnonzero(row).tolist() for row in band] == [columns] * 6


def test_the_boundary_of_a_soft_mask_is_where_it_passes_one_half():
    soft = tensor(0, 0.2, 0.4, 0.49, 0.5, 0.8, 1)
    assert losses.boundary_band(soft, 2).numpy().ravel().tolist() == [0, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("value", [0, 1])
def test_a_mask_without_an_edge_has_no_boundary(value):
    """Not at the picture's border either."""
    mask = tf.fill((2, 6, 7, 1), float(value))
    assert not losses.boundary_band(mask).numpy().any()
    assert float(losses.boundary_loss(mask, tf.fill((2, 6, 7, 1), -50.0))) == pytest.approx(0, abs=1e-6)
    # logit ln 3 says boundary with 3/4: focal (3/4)^2 times ln 4
    assert float(losses.boundary_loss(mask, tf.fill((2, 6, 7, 1), np.float32(np.log(3))))) == pytest.approx(9 / 16 * np.log(4))


def test_boundary_loss_by_hand():
    """Person, background, 8 columns: with width 4 the band is 2 to 5, half of the pixels; logit ln 3 is right there (1/4)^2 ln(4/3)."""
    mask, logits = tensor(1, 1, 1, 1, 0, 0, 0, 0), tf.fill((1, 1, 8, 1), np.float32(np.log(3)))
    wanted = (np.log(4 / 3) / 16 + 9 / 16 * np.log(4)) / 2
    assert float(losses.boundary_loss(mask, logits)) == pytest.approx(wanted)
    assert float(losses.boundary_loss(mask, logits, gamma=0.0)) == pytest.approx((np.log(4 / 3) + np.log(4)) / 2)
    pair = tf.concat([logits * 0 + 2, logits + 2], -1)  # two channels whose difference is the one logit
    assert float(losses.boundary_loss(mask, pair)) == pytest.approx(wanted)


def test_parse():
    assert losses.parse("bce=1,dice=0.5") == {"bce": 1.0, "dice": 0.5}
    assert losses.parse("dice") == {"dice": 1.0}


@pytest.mark.parametrize("text", ["", "bce=0", "bce=-1", "hinge=1", "bce=one"])
def test_parse_refuses(text):
    with pytest.raises(InputError, match=r"bce=1,dice=0\.5"):
        losses.parse(text)
