"""One optimisation step, and which layers it may change."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from portraitseg import losses

TrainStep = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def make_train_step(model: keras.Model, optimizer: Any, loss: losses.Loss, *, boundary_weight: float = 0.1) -> TrainStep:
    """Compile one optimisation step.

    Args:
        model: input -> logits, or logits and aux outputs; its trainable variables are those of this moment.
        optimizer: a Keras optimizer.
        loss: (mask, logits) -> scalar. Side outputs add theirs with weight 1 each (deep supervision, U2-Net, arXiv:2005.09007).
        boundary_weight: of the boundary output's focal loss (0.1: PortraitNet).

    Returns:
        A function (x (N,H,W,C), mask (N,H,W,1) in [0,1]) -> loss, which updates the weights.
    """
    variables = model.trainable_variables
    names = model.output_names[1:]
    scaled = isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits, *aux = tf.nest.flatten(model(x, training=True))
            value = loss(mask, logits)
            for name, output in zip(names, aux, strict=True):
                value += boundary_weight * losses.boundary_loss(mask, output) if name == "boundary" else loss(mask, output)
            target = optimizer.get_scaled_loss(value) if scaled else value
        gradients = tape.gradient(target, variables)
        if scaled:
            gradients = optimizer.get_unscaled_gradients(gradients)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return value

    compiled: TrainStep = step
    return compiled


def freeze(model: keras.Model, prefix: str) -> None:
    """Freeze the layers whose name starts with `prefix` (batch norm then uses and keeps its statistics); thaw all others."""
    for layer in model.layers:
        layer.trainable = not (prefix and layer.name.startswith(prefix))
