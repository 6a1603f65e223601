"""The loss against a teacher's prob."""

import tensorflow as tf

from portraitseg.losses.boundary import boundary_band
from portraitseg.losses.logits import person_logits

LEAST = 1 / 510
"""Half a step of the 8 bits that a teacher's prob is kept in: what 0 may have been at the most."""


def distillation_loss(teacher: tf.Tensor, logits: tf.Tensor, *, temperature: float = 1.0, boundary: float = 0.0) -> tf.Tensor:
    """Divergence of the student's prob from the teacher's, both softened by a temperature (Hinton 2015, arXiv:1503.02531).

    Per pixel T^2 KL(q || p) with q = sigmoid(teacher's logit / T) and p = sigmoid(logit / T): the cross-entropy less what the teacher
    leaves open itself, so that 0 means equal; T^2 keeps the gradient's size whatever T is.

    Args:
        teacher: (N,H,W,1), its prob in [0,1].
        logits: (N,H,W,1|2) of the student.
        temperature: T, above 0.
        boundary: K; a pixel weighs 1 + K in the band about the teacher's edge, and elsewhere 1 + 4 K t (1 - t), t being its prob.

    Returns:
        The weighted mean over all pixels.
    """
    student = person_logits(tf.cast(logits, tf.float32)) / temperature
    sure = tf.clip_by_value(teacher, LEAST, 1 - LEAST)
    soft = (tf.math.log(sure) - tf.math.log1p(-sure)) / temperature
    target = tf.sigmoid(soft)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
    divergence = temperature**2 * (cross_entropy(target, student) - cross_entropy(target, soft))
    weight = 1 + boundary * tf.maximum(boundary_band(teacher), 4 * teacher * (1 - teacher)) if boundary else tf.ones_like(teacher)
    return tf.reduce_sum(weight * divergence) / tf.reduce_sum(weight)
