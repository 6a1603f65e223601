"""The loss between two views of one picture."""

import tensorflow as tf

from portraitseg.losses.logits import person_logits


def consistency_loss(original: tf.Tensor, textured: tf.Tensor, *, temperature: float = 1.0) -> tf.Tensor:
    """T^2 KL(original || textured) of the probs softened by a temperature, mean over pixels and both classes (PortraitNet's constraint).

    The original view teaches: no gradient flows into it. One channel of logits is the two-way softmax of (0, logit), so that one and two
    channels cost the same.

    Args:
        original: (N,H,W,1|2), logits of the picture as it is.
        textured: (N,H,W,1|2), logits of the texture-enhanced picture.
        temperature: T, above 0; what the logits are divided by.
    """
    teacher, student = (person_logits(tf.cast(logits, tf.float32)) / temperature for logits in (tf.stop_gradient(original), textured))
    target, cross_entropy = tf.sigmoid(teacher), tf.nn.sigmoid_cross_entropy_with_logits
    divergence = cross_entropy(target, student) - cross_entropy(target, teacher)
    return 0.5 * temperature**2 * tf.reduce_mean(divergence)
