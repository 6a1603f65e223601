"""Temperature scaling (Guo 2017, arXiv:1706.04599): logits divided by the one number with which they fit the masks best.

Nets from elsewhere can be far too sure: MediaPipe's selfie net has logits beyond 800. No threshold sees that, but a wrong pixel then costs
hundreds of times what a net of ours pays, and training would spend its first epochs on nothing else.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf
import tf_keras as keras

from portraitseg.archs import LOGITS, logits_model
from portraitseg.losses.logits import person_logits
from portraitseg.losses.region import bce_loss

TEMPERATURES = 2.0 ** (np.arange(-8, 33) / 4)
"""What is tried: a quarter of an octave apart, from 1/4 to 256."""


def scale(model: keras.Model, batches: Iterable[Mapping[str, tf.Tensor]]) -> float:
    """Divide kernel and bias of the convolution that makes the logits by their best temperature.

    Args:
        model: a net whose logits come straight from a convolution.
        batches: "x" (N,H,W,C) as the net gets it, "mask" (N,H,W,1) in [0,1], and "labelled" (N,) where some have no mask.

    Returns:
        The temperature.
    """
    logits = logits_model(model)
    costs = [_costs(logits, batch) for batch in batches]
    best = float(TEMPERATURES[np.argmin(np.mean(costs, axis=0))])
    head = model.get_layer(LOGITS).inbound_nodes[0].inbound_layers
    head.set_weights([weight / best for weight in head.get_weights()])
    return best


def _costs(logits: keras.Model, batch: Mapping[str, tf.Tensor]) -> list[float]:
    """The cross-entropy at each of TEMPERATURES."""
    rows = tf.where(batch["labelled"])[:, 0] if "labelled" in batch else tf.range(len(batch["x"]))
    mask, found = tf.gather(batch["mask"], rows), person_logits(logits(tf.gather(batch["x"], rows), training=False))
    return [float(bce_loss(mask, found / temperature)) for temperature in TEMPERATURES]
