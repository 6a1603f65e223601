"""Losses (mask, logits) -> scalar. Computed in float32 whatever the net's precision is."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from portraitseg.errors import InputError

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def person_logits(logits: tf.Tensor) -> tf.Tensor:
    """One channel from one or two: a two-way softmax is the sigmoid of the difference. (N,H,W,1|2) -> (N,H,W,1)."""
    return logits[..., 1:] - logits[..., :1] if logits.shape[-1] == 2 else logits


def bce_loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy, mean over pixels; the mask may be soft.

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
    """
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(mask, logits))


def dice_loss(mask: tf.Tensor, logits: tf.Tensor, *, smooth: float = 1.0) -> tf.Tensor:
    """1 - soft Dice, averaged over the batch (Milletari 2016, arXiv:1606.04797).

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
        smooth: in pixels; keeps an empty mask finite.
    """
    prob = tf.sigmoid(logits)
    overlap = tf.reduce_sum(mask * prob, axis=(1, 2, 3))
    total = tf.reduce_sum(mask + prob, axis=(1, 2, 3))
    return tf.reduce_mean(1.0 - (2.0 * overlap + smooth) / (total + smooth))


def boundary_band(mask: tf.Tensor, width: int = 4) -> tf.Tensor:
    """The band about the mask's edge, `width` pixels wide and even: dilation minus erosion of the mask, binarised at 0.5.

    Args:
        mask: (N,H,W,1) in [0,1].
        width: in pixels; PortraitNet draws the contour with thickness 4.

    Returns:
        (N,H,W,1), 1 in the band and 0 elsewhere.
    """
    hard = tf.cast(mask >= 0.5, tf.float32)
    side = width + 1
    grown, rest = (tf.nn.max_pool2d(value, side, 1, "SAME") for value in (hard, 1.0 - hard))
    return grown * rest


def boundary_loss(mask: tf.Tensor, logits: tf.Tensor, *, gamma: float = 2.0) -> tf.Tensor:
    """Focal loss (Lin 2017, arXiv:1708.02002) of a boundary head, mean over pixels.

    Args:
        mask: (N,H,W,1) in [0,1], the person's, of which the band is made.
        logits: (N,H,W,1|2) of the boundary.
        gamma: how much what is right already counts less.
    """
    band, single = boundary_band(mask), person_logits(tf.cast(logits, tf.float32))
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(band, single)
    return tf.reduce_mean((1.0 - tf.exp(-cross_entropy)) ** gamma * cross_entropy)


LOSSES: dict[str, Loss] = {"bce": bce_loss, "dice": dice_loss}


def parse(text: str) -> dict[str, float]:
    """Read "bce=1,dice=0.5" into weights by name.

    Raises:
        InputError: an unknown loss, or a weight that is not a number above 0.
    """
    weights = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            weights[name.strip()] = float(number or 1)
        except ValueError as error:
            raise InputError(f"the weight of loss {name!r} must be a number, got {number!r}; write for example bce=1,dice=0.5") from error
    unknown = set(weights) - set(LOSSES)
    if unknown or min(weights.values()) <= 0:
        raise InputError(f"cannot use the loss {text!r}; write weights above 0 for any of {', '.join(LOSSES)}, e.g. bce=1,dice=0.5")
    return weights


def weighted(weights: Mapping[str, float]) -> Loss:
    """The weighted sum of losses; takes logits of one or two channels in any float precision."""

    def loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        single = person_logits(tf.cast(logits, tf.float32))
        return tf.add_n([weight * LOSSES[name](mask, single) for name, weight in weights.items()])

    return loss
