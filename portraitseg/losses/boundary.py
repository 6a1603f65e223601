"""Losses about the edge of the mask."""

import tensorflow as tf

from portraitseg.losses.logits import person_logits


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
