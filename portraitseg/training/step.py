"""One optimisation step, and which layers it may change."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras as keras

from portraitseg.training.objective import Batch, Objective

TrainStep = Callable[[Batch], tf.Tensor]


def make_train_step(model: keras.Model, optimizer: Any, objective: Objective) -> TrainStep:
    """Compile one optimisation step.

    Args:
        model: input -> logits, or logits and aux outputs; its trainable variables are those of this moment.
        optimizer: a Keras optimizer.
        objective: what to minimise.

    Returns:
        A function batch -> loss, which updates the weights.
    """
    variables = model.trainable_variables
    scaled = isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(batch: Batch) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = objective(model, batch)
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
