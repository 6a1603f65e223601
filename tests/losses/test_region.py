"""The losses over all pixels against numbers worked by hand and against numpy."""

import numpy as np
import pytest
import tensorflow as tf

from portraitseg import losses

LN3 = np.float32(np.log(3))  # prob 3/4


def tensor(*values: float) -> tf.Tensor:
    return tf.reshape(tf.constant(values, tf.float32), (1, 1, -1, 1))


def sample(seed=0, hard=False):
    """Mask and logits (3,5,7,1), and the probs in float64."""
    random = np.random.default_rng(seed)
    mask = random.uniform(size=(3, 5, 7, 1))
    mask = (mask > 0.6).astype(np.float32) if hard else mask.astype(np.float32)
    logits = random.normal(size=mask.shape).astype(np.float32) * 2
    return mask, logits, 1 / (1 + np.exp(-logits.astype(np.float64)))


AXES = (1, 2, 3)


def numpy_bce(mask, prob):
    return -(mask * np.log(prob) + (1 - mask) * np.log(1 - prob))


REFERENCES = {
    "bce": lambda mask, prob: numpy_bce(mask, prob).mean(),
    "dice": lambda mask, prob: (1 - (2 * (mask * prob).sum(AXES) + 1) / ((mask + prob).sum(AXES) + 1)).mean(),
    "iou": lambda mask, prob: (1 - (np.minimum(mask, prob).sum(AXES) + 1) / (np.maximum(mask, prob).sum(AXES) + 1)).mean(),
    "l1": lambda mask, prob: np.abs(mask - prob).mean(),
    "focal": lambda mask, prob: ((mask - prob) ** 2 * numpy_bce(mask, prob)).mean(),
    "tversky": lambda mask, prob: np.mean(
        [
            1 - ((m * p).sum() + 1) / ((m * p).sum() + 0.3 * (p - m * p).sum() + 0.7 * (m - m * p).sum() + 1)
            for m, p in zip(mask, prob, strict=True)
        ]
    ),
}


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("name", REFERENCES)
def test_against_numpy(name, hard):
    mask, logits, prob = sample(hard=hard)
    assert float(losses.LOSSES[name](mask, logits)) == pytest.approx(REFERENCES[name](mask.astype(np.float64), prob), rel=1e-5)


def test_bce_by_hand():
    """Logit 0 costs ln 2 whatever the mask; logit ln 3 (prob 3/4) on mask 1 costs ln(4/3)."""
    assert float(losses.bce_loss(tensor(1, 0.5, 0), tensor(0, 0, 0))) == pytest.approx(np.log(2))
    assert float(losses.bce_loss(tensor(1), tensor(LN3))) == pytest.approx(np.log(4 / 3))


def test_dice_by_hand():
    """Probs (3/4, 1/4) on mask (1, 0): overlap 3/4, sum 2; smooth 1 gives 1 - 2.5/3."""
    assert float(losses.dice_loss(tensor(1, 0), tensor(LN3, -LN3))) == pytest.approx(1 - 2.5 / 3)


def test_iou_by_hand():
    """Probs (3/4, 1/4) on mask (1, 0): intersection 3/4, union 5/4; smooth 1 gives 1 - 1.75/2.25."""
    assert float(losses.iou_loss(tensor(1, 0), tensor(LN3, -LN3))) == pytest.approx(1 - 1.75 / 2.25)


def test_iou_of_hard_masks_is_the_usual_product_form():
    mask, logits, prob = sample(hard=True)
    overlap, total = (mask * prob).sum(AXES), (mask + prob).sum(AXES)
    assert float(losses.iou_loss(mask, logits, smooth=0)) == pytest.approx((1 - overlap / (total - overlap)).mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["iou", "l1", "focal", "bce"])
def test_soft_masks_are_best_met_exactly(name):
    """A mask of 0.3 everywhere: the loss falls up to prob 0.3 and rises beyond."""
    mask = tf.fill((1, 4, 4, 1), 0.3)
    values = [float(losses.LOSSES[name](mask, tf.fill(mask.shape, np.float32(np.log(p / (1 - p)))))) for p in (0.1, 0.2, 0.3, 0.4, 0.6)]
    assert values[0] > values[1] > values[2] < values[3] < values[4]


def test_l1_by_hand():
    """Probs 3/4, 1/2 on mask 1, 1/4: differences 1/4 and 1/4."""
    assert float(losses.l1_loss(tensor(1, 0.25), tensor(LN3, 0))) == pytest.approx(0.25)


def test_focal_by_hand():
    """Prob 3/4: on mask 1 (1/4)^2 ln(4/3), on mask 0 (3/4)^2 ln 4."""
    assert float(losses.focal_loss(tensor(1), tensor(LN3))) == pytest.approx(np.log(4 / 3) / 16)
    assert float(losses.focal_loss(tensor(0), tensor(LN3))) == pytest.approx(np.log(4) * 9 / 16)


def test_focal_pulls_where_the_net_is_surely_wrong():
    """Mask 1, logit -50: the slope is that of the cross-entropy, -1 (clipped probs would give 0)."""
    logits = tensor(-50)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = losses.focal_loss(tensor(1), logits)
    assert tape.gradient(value, logits).numpy().item() == pytest.approx(-1, rel=1e-4)


def test_tversky_by_hand():
    """Probs (3/4, 1/4) on mask (1, 0): overlap 3/4, false positives 1/4, false negatives 1/4: 1.75 / (0.75 + 0.3/4 + 0.7/4 + 1)."""
    assert float(losses.tversky_loss(tensor(1, 0), tensor(LN3, -LN3))) == pytest.approx(1 - 1.75 / 2)
    missed, invented = (float(losses.tversky_loss(tensor(1, 0), logits)) for logits in (tensor(-9, -9), tensor(9, 9)))
    assert missed > invented


def test_lovasz_by_hand():
    """Mask (1, 0), logits (0.5, 0.25): errors 0.5 and 1.25.

    Largest first is the background pixel: wrong alone, the Jaccard loss is 1 - 1/2; with the other one it is 1. So 1.25/2 + 0.5/2.
    """
    assert float(losses.lovasz_loss(tensor(1, 0), tensor(0.5, 0.25))) == pytest.approx(0.875)


def test_lovasz_of_an_empty_mask_is_the_worst_pixels_error():
    """One wrong pixel already makes the Jaccard loss 1; the further ones add nothing. Logits -3, 0.5, 0.25: hinge 1.5."""
    assert float(losses.lovasz_loss(tensor(0, 0, 0), tensor(-3, 0.5, 0.25))) == pytest.approx(1.5)
    assert float(losses.lovasz_loss(tensor(1, 1), tensor(2, 3))) == 0


def jaccard_loss(mask, wrong):
    """1 - IoU of the prediction that is wrong in these pixels."""
    found = mask ^ wrong
    union = (mask | found).sum()
    return 1 - (mask & found).sum() / union if union else 0.0


@pytest.mark.parametrize("seed", range(3))
def test_lovasz_is_the_lovasz_extension_of_the_jaccard_loss(seed):
    """Its definition as an integral over thresholds: E(errors) = int_0^inf jaccard_loss({errors > t}) dt, picture by picture."""
    mask, logits, _ = sample(seed, hard=True)
    values = []
    for labels, scores in zip(mask.reshape(3, -1) > 0, logits.reshape(3, -1).astype(np.float64), strict=True):
        errors = np.maximum(1 - scores * np.where(labels, 1, -1), 0)
        levels = np.unique(np.concatenate([[0.0], errors]))
        values.append(sum(step * jaccard_loss(labels, errors > level) for level, step in zip(levels, np.diff(levels), strict=False)))
    assert float(losses.lovasz_loss(mask, logits)) == pytest.approx(np.mean(values), rel=1e-5)


def test_lovasz_takes_a_soft_mask_at_one_half():
    mask, logits, _ = sample()
    assert float(losses.lovasz_loss(mask, logits)) == float(losses.lovasz_loss((mask >= 0.5).astype(np.float32), logits))


def test_areas_are_compared_picture_by_picture():
    """Two pictures: the mean of each one's loss, not the loss of both as one."""
    masks, logits = tf.concat([tensor(1, 0), tensor(0, 0)], 0), tf.concat([tensor(0.5, -0.5), tensor(-50, -50)], 0)
    for name in ("dice", "iou", "tversky", "lovasz"):
        loss = losses.LOSSES[name]
        alone = [float(loss(masks[i : i + 1], logits[i : i + 1])) for i in range(2)]
        assert float(loss(masks, logits)) == pytest.approx(np.mean(alone), rel=1e-6)
        assert alone[0] > 0.05
        assert alone[1] == pytest.approx(0, abs=1e-6)
