"""What one step minimises: the mask's losses, those of the training-only outputs, and whatever else the settings ask for."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras as keras

from portraitseg import losses
from portraitseg.losses.distillation import distillation_loss
from portraitseg.training.settings import LossSettings, TeacherSettings

Batch = Mapping[str, tf.Tensor]
"""What `pipeline.train_batches` gives: "x" (N,H,W,C) in the card's range, "mask" (N,H,W,1) in [0,1], and what a setting adds."""
Objective = Callable[[keras.Model, Batch], tf.Tensor]
"""(model in training mode, batch) -> scalar."""


def make_objective(settings: LossSettings, teaching: TeacherSettings | None = None) -> Objective:
    """The objective that the settings describe.

    Args:
        settings: losses and weights.
        teaching: how batches with a "teacher" are learned; its defaults if left out.

    Raises:
        InputError: an unknown loss, or a weight that is not a number above 0.
    """
    loss = losses.weighted(losses.parse(settings.loss))
    teaching = teaching or TeacherSettings()
    softened = {"temperature": teaching.distill_temperature, "boundary": teaching.distill_boundary}

    def supervised(mask: tf.Tensor, logits: tf.Tensor, aux: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return loss(mask, logits) + supervise(aux, mask, loss, boundary_weight=settings.boundary_weight)

    def objective(model: keras.Model, batch: Batch) -> tf.Tensor:
        logits, aux = forward(model, batch["x"])
        value = on_labelled(supervised, batch, logits, aux)
        if "teacher" in batch:
            value += teaching.distill_weight * distillation_loss(batch["teacher"], logits, **softened)
        return value

    return objective


def on_labelled(loss: Callable[..., tf.Tensor], batch: Batch, *outputs: Any) -> tf.Tensor:
    """`loss(mask, *outputs)` of the samples whose mask is to be learned (all, without "labelled" in the batch), 0 if there are none."""
    if "labelled" not in batch:
        return loss(batch["mask"], *outputs)
    rows = tf.nest.map_structure(lambda tensor: tf.boolean_mask(tensor, batch["labelled"]), (batch["mask"], *outputs))
    return tf.cond(tf.reduce_any(batch["labelled"]), lambda: loss(*rows), lambda: tf.zeros((), tf.float32))


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
