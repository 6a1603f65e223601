"""Losses over all pixels of the mask."""

import tensorflow as tf

PIXELS = (1, 2, 3)
"""The axes of one picture."""


def bce_loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy, mean over pixels; the mask may be soft.

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
    """
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(mask, logits))


def l1_loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference of prob and mask; the mask may be soft.

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
    """
    return tf.reduce_mean(tf.abs(tf.sigmoid(logits) - mask))


def focal_loss(mask: tf.Tensor, logits: tf.Tensor, *, gamma: float = 2.0) -> tf.Tensor:
    """|mask - prob|^gamma times the cross-entropy, mean over pixels: what is right already counts less.

    On a hard mask this is the focal loss (Lin 2017, arXiv:1708.02002) without class weights, on a soft one its extension that is
    smallest where prob and mask agree (Li 2020, arXiv:2006.04388). Not keras-cv's: that one takes every pixel of a soft mask for
    background, and its cross-entropy of clipped probs has no gradient where the net is surely wrong.

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
        gamma: at least 1, or the gradient is not finite where prob and mask are equal.
    """
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(mask, logits)
    return tf.reduce_mean(tf.abs(mask - tf.sigmoid(logits)) ** gamma * cross_entropy)


def dice_loss(mask: tf.Tensor, logits: tf.Tensor, *, smooth: float = 1.0) -> tf.Tensor:
    """1 - soft Dice, averaged over the batch (Milletari 2016, arXiv:1606.04797).

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
        smooth: in pixels; keeps an empty mask finite.
    """
    return tversky_loss(mask, logits, alpha=0.5, beta=0.5, smooth=smooth / 2)


def tversky_loss(mask: tf.Tensor, logits: tf.Tensor, *, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1.0) -> tf.Tensor:
    """1 - the Tversky index, averaged over the batch (Salehi 2017, arXiv:1706.05721): Dice whose two kinds of error weigh differently.

    With overlap o, false positives f (prob where no person is) and false negatives g (person without prob): 1 - o / (o + alpha f + beta g).

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
        alpha: weight of the false positives; alpha = beta = 0.5 is Dice.
        beta: weight of the false negatives; above alpha, the net rather takes too much than loses a part of the person.
        smooth: in pixels; keeps an empty mask finite.
    """
    prob = tf.sigmoid(logits)
    overlap, positive, negative = (tf.reduce_sum(part, PIXELS) for part in (mask * prob, (1.0 - mask) * prob, mask * (1.0 - prob)))
    return tf.reduce_mean(1.0 - (overlap + smooth) / (overlap + alpha * positive + beta * negative + smooth))


def iou_loss(mask: tf.Tensor, logits: tf.Tensor, *, smooth: float = 1.0) -> tf.Tensor:
    """1 - soft Jaccard index, averaged over the batch; the mask may be soft.

    Intersection and union are the sums of the smaller and of the larger of prob and mask. On a hard mask these are the usual products;
    on a soft one, unlike those, they are best where prob and mask agree (Wang 2023, arXiv:2302.05666).

    Args:
        mask: (N,H,W,1) in [0,1].
        logits: (N,H,W,1), before the sigmoid.
        smooth: in pixels; keeps an empty mask finite.
    """
    prob = tf.sigmoid(logits)
    overlap, union = (tf.reduce_sum(part, PIXELS) for part in (tf.minimum(mask, prob), tf.maximum(mask, prob)))
    return tf.reduce_mean(1.0 - (overlap + smooth) / (union + smooth))


def lovasz_loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Lovász hinge, picture by picture (Berman 2018, arXiv:1705.08790): the convex surface through the Jaccard losses of hard masks.

    The hinge errors of a picture, largest first, each times what the Jaccard loss grows by when that pixel joins the wrong ones.

    Args:
        mask: (N,H,W,1) in [0,1]; binarised at 0.5, for a hinge knows two classes.
        logits: (N,H,W,1), before the sigmoid.
    """
    pixels = mask.shape[1] * mask.shape[2]
    hard, flat = tf.reshape(tf.cast(mask >= 0.5, tf.float32), (-1, pixels)), tf.reshape(logits, (-1, pixels))
    errors = 1.0 - flat * (2.0 * hard - 1.0)  # N,P
    order = tf.argsort(errors, direction="DESCENDING", stable=True)
    errors, labels = (tf.gather(values, order, batch_dims=1) for values in (errors, hard))
    missed, added = tf.cumsum(labels, axis=1), tf.cumsum(1.0 - labels, axis=1)  # the k largest errors as wrong pixels
    area = tf.reduce_sum(labels, axis=1, keepdims=True)
    jaccard = 1.0 - (area - missed) / (area + added)
    growth = tf.concat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], axis=1)
    return tf.reduce_mean(tf.reduce_sum(tf.nn.relu(errors) * growth, axis=1))
