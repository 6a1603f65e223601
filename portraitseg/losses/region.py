"""Losses over all pixels of the mask."""

import tensorflow as tf


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
