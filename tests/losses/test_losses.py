"""What all losses have in common: names, weights, finite values and slopes, two channels."""

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from portraitseg import losses
from portraitseg.errors import InputError
from portraitseg.training.settings import LossSettings

random = np.random.default_rng(0)
SHAPE = (2, 33, 40, 1)
HALF = np.zeros(SHAPE, np.float32)
HALF[:, 8:25, 10:30] = 1
MASKS = {
    "zero": np.zeros(SHAPE, np.float32),
    "one": np.ones(SHAPE, np.float32),
    "hard": HALF,
    "soft": random.uniform(size=SHAPE).astype("f4"),
}
LOGITS = {"zero": np.zeros(SHAPE, np.float32), "any": random.normal(size=SHAPE).astype("f4"), "sure": np.float32(200) * (2 * HALF - 1)}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("logits", LOGITS)
def test_values_and_slopes_are_finite(mask, logits):
    for name, loss in losses.LOSSES.items():
        x = tf.constant(LOGITS[logits])
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(tf.constant(MASKS[mask]), x)
        assert value.dtype == tf.float32, name
        assert value.shape == (), name
        assert np.isfinite(float(value)), name
        assert float(value) >= 0, name
        assert np.isfinite(tape.gradient(value, x).numpy()).all(), name


def test_every_loss_is_smaller_for_the_right_mask_than_for_its_opposite():
    for name, loss in losses.LOSSES.items():
        right, wrong = (float(loss(tf.constant(HALF), tf.constant(sign * LOGITS["sure"]))) for sign in (1, -1))
        assert right < 0.01 < wrong, name


def test_two_channels_are_one_by_their_difference():
    """softmax((a, b))[1] = sigmoid(b - a)."""
    pair = tf.constant([[[[0.3, 1.5], [2.0, -1.0]]]])
    np.testing.assert_allclose(tf.sigmoid(losses.person_logits(pair))[..., 0], tf.nn.softmax(pair)[..., 1], rtol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_two_channels_cost_what_one_does(name):
    logits = LOGITS["any"]
    pair = np.concatenate([logits * 0 + 2, logits + 2], -1)
    wanted = float(losses.LOSSES[name](tf.constant(HALF), tf.constant(logits)))
    assert float(losses.weighted({name: 1.0})(tf.constant(HALF), tf.constant(pair))) == pytest.approx(wanted, rel=1e-5)


def test_half_precision_logits_are_computed_in_single():
    logits = tf.cast(LOGITS["any"], tf.float16)
    for name, loss in losses.LOSSES.items():
        value = losses.weighted({name: 1.0})(tf.constant(HALF), logits)
        assert value.dtype == tf.float32
        assert float(value) == pytest.approx(float(loss(tf.constant(HALF), tf.cast(logits, tf.float32))), rel=1e-6)


def test_weighted_adds_all_of_them():
    mask, logits = tf.constant(HALF), tf.constant(LOGITS["any"])
    weights = {name: 1.0 + i for i, name in enumerate(losses.LOSSES)}
    wanted = sum(weight * float(losses.LOSSES[name](mask, logits)) for name, weight in weights.items())
    assert float(losses.weighted(weights)(mask, logits)) == pytest.approx(wanted, rel=1e-5)


def test_the_bands_width_reaches_those_that_look_at_it():
    takers = [name for name, loss in losses.LOSSES.items() if "width" in inspect.signature(loss).parameters]
    assert sorted(losses.BANDED) == sorted(takers)
    mask, logits = tf.constant(HALF), tf.constant(LOGITS["any"])
    for name in takers:
        loss = losses.LOSSES[name]
        assert (
            float(losses.weighted({name: 1.0}, band_width=2)(mask, logits))
            == float(loss(mask, logits, width=2))
            != float(loss(mask, logits))
        )


def test_every_loss_is_in_the_help_and_in_the_guide():
    source = inspect.getsource(LossSettings)
    named = source.split("Weighted sum of losses: ")[1].split(".")[0].split(", ")
    assert named == list(losses.LOSSES)
    kinds = next(item for item in dataclasses.fields(LossSettings) if item.name == "boundary").type.__args__
    assert set(kinds) == set(losses.BOUNDARIES)
    guide = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    table = [line.split("|")[1].strip() for line in guide.split("## Losses")[1].split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert table == [f"`{name}`" for name in losses.LOSSES]


def test_parse():
    assert losses.parse("bce=1,dice=0.5") == {"bce": 1.0, "dice": 0.5}
    assert losses.parse("bce=1, iou=0.5, l1=0.5") == {"bce": 1.0, "iou": 0.5, "l1": 0.5}
    assert losses.parse("dice") == {"dice": 1.0}


@pytest.mark.parametrize("text", ["", "bce=0", "bce=-1", "hinge=1", "bce=one", "bce=nan", "bce=inf"])
def test_parse_refuses(text):
    with pytest.raises(InputError, match=r"bce=1,dice=0\.5"):
        losses.parse(text)
