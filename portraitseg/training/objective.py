"""What one step minimises: the mask's losses, those of the training-only outputs, and whatever else the settings ask for."""

from collections.abc import Callable, Mapping

import tensorflow as tf
import tf_keras as keras

from portraitseg import losses
from portraitseg.training.settings import LossSettings

Batch = Mapping[str, tf.Tensor]
"""What `pipeline.train_batches` gives: "x" (N,H,W,C) in the card's range, "mask" (N,H,W,1) in [0,1], and what a setting adds."""
Objective = Callable[[keras.Model, Batch], tf.Tensor]
"""(model in training mode, batch) -> scalar."""


def make_objective(settings: LossSettings) -> Objective:
    """The objective that the settings describe.

    Raises:
        InputError: an unknown loss, or a weight that is not a number above 0.
    """
    loss = losses.weighted(losses.parse(settings.loss))

    def objective(model: keras.Model, batch: Batch) -> tf.Tensor:
        logits, aux = forward(model, batch["x"])
        return loss(batch["mask"], logits) + supervise(aux, batch["mask"], loss, boundary_weight=settings.boundary_weight)

    return objective


def forward(model: keras.Model, x: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Logits (N,H,W,classes) and the training-only outputs by name."""
    logits, *aux = tf.nest.flatten(model(x, training=True))
    return logits, dict(zip(model.output_names[1:], aux, strict=True))


def supervise(aux: Mapping[str, tf.Tensor], mask: tf.Tensor, loss: losses.Loss, *, boundary_weight: float) -> tf.Tensor:
    """The loss of the training-only outputs: "boundary" by its own, every other with weight 1 by the mask's (U2-Net, arXiv:2005.09007)."""
    value = tf.zeros((), tf.float32)
    for name, output in aux.items():
        value += boundary_weight * losses.boundary_loss(mask, output) if name == "boundary" else loss(mask, output)
    return value
