"""Losses about the edge of the mask."""

from collections.abc import Callable

import tensorflow as tf

from portraitseg.losses import edges
from portraitseg.losses.logits import person_logits
from portraitseg.losses.region import PIXELS, focal_loss


def transition_band(mask: tf.Tensor, width: int) -> tf.Tensor:
    """Dilation minus erosion of the mask: how much it changes within `width` pixels.

    Args:
        mask: (N,H,W,1) in [0,1].
        width: in pixels, half of it on each side of a hard edge.

    Returns:
        (N,H,W,1) in [0,1]; for a hard mask 1 in the band and 0 elsewhere.
    """
    grown, shrunk = (tf.nn.max_pool2d(value, width + 1, 1, "SAME") for value in (mask, -mask))
    return grown + shrunk


def boundary_band(mask: tf.Tensor, width: int = 4) -> tf.Tensor:
    """The band about the mask's edge, `width` pixels wide and even: dilation minus erosion of the mask, binarised at 0.5.

    Args:
        mask: (N,H,W,1) in [0,1].
        width: in pixels; PortraitNet draws the contour with thickness 4.

    Returns:
        (N,H,W,1), 1 in the band and 0 elsewhere.
    """
    return transition_band(tf.cast(mask >= 0.5, tf.float32), width)


BOUNDARIES: dict[str, Callable[[tf.Tensor, int], tf.Tensor]] = {
    "contour": boundary_band,
    "canny": lambda mask, width: edges.canny(mask),
    "sobel": lambda mask, width: edges.sobel(mask),
}
"""What a boundary head is fitted to: (mask, width of the contour) -> (N,H,W,1), 0 or 1."""


def boundary_loss(mask: tf.Tensor, logits: tf.Tensor, *, kind: str = "contour", width: int = 4, gamma: float = 2.0) -> tf.Tensor:
    """Focal loss (Lin 2017, arXiv:1708.02002) of a boundary head, mean over pixels.

    Args:
        mask: (N,H,W,1) in [0,1], the person's, of which the boundary is made.
        logits: (N,H,W,1|2) of the boundary.
        kind: a name of BOUNDARIES.
        width: of the contour, in pixels.
        gamma: how much what is right already counts less.
    """
    return focal_loss(BOUNDARIES[kind](mask, width), person_logits(tf.cast(logits, tf.float32)), gamma=gamma)


def boundary_rmse_loss(mask: tf.Tensor, logits: tf.Tensor, *, width: int = 8) -> tf.Tensor:
    """Root of the mean squared difference of prob and mask within the transition band, averaged over the batch.

    0 for a picture without an edge: it goes along with a loss over all pixels.

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
        width: of the band, in pixels.
    """
    band = transition_band(mask, width)
    error = tf.reduce_sum(band * (tf.sigmoid(logits) - mask) ** 2, PIXELS)
    mean = error / tf.maximum(tf.reduce_sum(band, PIXELS), 1.0)
    return tf.reduce_mean(tf.sqrt(mean + 1e-12))  # the root's slope at 0 is infinite
