"""One channel of logits from one or two."""

import tensorflow as tf


def person_logits(logits: tf.Tensor) -> tf.Tensor:
    """One channel from one or two: a two-way softmax is the sigmoid of the difference. (N,H,W,1|2) -> (N,H,W,1)."""
    return logits[..., 1:] - logits[..., :1] if logits.shape[-1] == 2 else logits
