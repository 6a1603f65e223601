"""Losses for soft masks: the alpha at the edge, and the alpha at every scale."""

import tensorflow as tf

from portraitseg.losses.boundary import transition_band
from portraitseg.losses.region import PIXELS
from portraitseg.losses.smoothing import double, smooth

LEVELS = 5


def detail_loss(mask: tf.Tensor, logits: tf.Tensor, *, width: int = 8) -> tf.Tensor:
    """Mean absolute difference of prob and mask within the transition band (MODNet's detail loss, Ke 2022, arXiv:2011.11961).

    0 for a picture without an edge: it goes along with a loss over all pixels.

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
        width: of the band, in pixels.
    """
    band = transition_band(mask, width)
    error = tf.reduce_sum(band * tf.abs(tf.sigmoid(logits) - mask), PIXELS)
    return tf.reduce_mean(error / tf.maximum(tf.reduce_sum(band, PIXELS), 1.0))


def laplacian_loss(mask: tf.Tensor, logits: tf.Tensor, *, levels: int = LEVELS) -> tf.Tensor:
    """L1 between the Laplacian pyramids of prob and mask, level l times 2^l.

    From Niklaus 2018, arXiv:1803.10967; for mattes Hou 2019, arXiv:1909.09725. The pyramid is linear, so that one of the difference will
    do. Each level's L1 is a mean over pixels; odd sizes are rounded up.

    Args:
        mask: (N,H,W,1) in [0,1]; H and W any, known when the graph is built.
        logits: (N,H,W,1), before the sigmoid.
        levels: at the most; a picture that has shrunk to one pixel has no further ones.
    """
    current, value = tf.sigmoid(logits) - mask, tf.zeros((), tf.float32)
    for level in range(levels):
        height, width = current.shape[1:3]
        if min(height, width) < 2:
            break
        coarse = smooth(current, 2)
        value += 2.0**level * tf.reduce_mean(tf.abs(current - double(coarse, height, width)))
        current = coarse
    return value
