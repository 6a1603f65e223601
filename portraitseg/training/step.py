"""One optimisation step, and which layers it may change."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from portraitseg.errors import InputError
from portraitseg.training.objective import Batch, Objective
from portraitseg.training.optimiser import Average

TrainStep = Callable[[Batch], tf.Tensor]


def make_train_step(
    model: keras.Model,
    optimizer: Any,
    objective: Objective,
    *,
    accumulate: int = 1,
    average: Average | None = None,
    strategy: Any = None,
) -> TrainStep:
    """Compile one optimisation step.

    Args:
        model: input -> logits, or logits and aux outputs; its trainable variables are those of this moment.
        optimizer: a Keras optimizer.
        objective: what to minimise.
        accumulate: equal parts that a batch is cut into, one forward and backward pass each; their gradients are averaged. Batch norm
            sees a part at a time, and so does a loss that is no mean over pictures.
        average: takes the weights in after the step.
        strategy: of tf.distribute, in whose scope all the above was made; the step then takes a batch for each replica, all of one size,
            and averages losses and gradients over the replicas. None for one device.

    Returns:
        A function batch -> loss, which updates the weights.
    """
    variables = model.trainable_variables
    summed = {"skip_gradients_aggregation": True} if strategy else {}
    scaled = isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)

    def gradients_of(batch: Batch) -> list[tf.Tensor]:
        """The loss, and its gradients times the loss scale (0 where a weight has no part in it)."""
        with tf.GradientTape() as tape:
            value = objective(model, batch)
            target = optimizer.get_scaled_loss(value) if scaled else value
        return [value, *tape.gradient(target, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)]

    def mean_of_parts(batch: Batch) -> list[tf.Tensor]:
        parts = {key: tf.reshape(value, (accumulate, -1, *value.shape[1:])) for key, value in batch.items()}

        def add(i: tf.Tensor, sums: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
            more = gradients_of({key: value[i] for key, value in parts.items()})
            return i + 1, [total + value for total, value in zip(sums, more, strict=True)]

        sums = [tf.zeros(()), *(tf.zeros(variable.shape) for variable in variables)]
        if strategy is None:
            _, sums = tf.while_loop(lambda i, _: i < accumulate, add, (0, sums), parallel_iterations=1)
        else:  # a loop in the graph cannot hold the replicas' exchange in batch norm
            for i in range(accumulate):
                _, sums = add(i, sums)
        return [total / accumulate for total in sums]

    def update(batch: Batch) -> tf.Tensor:
        value, *gradients = gradients_of(batch) if accumulate == 1 else mean_of_parts(batch)
        if strategy is not None:
            value, *gradients = tf.distribute.get_replica_context().all_reduce("MEAN", [value, *gradients])
        if scaled:
            gradients = optimizer.get_unscaled_gradients(gradients)
        optimizer.apply_gradients(zip(gradients, variables, strict=True), **summed)
        if average is not None:
            average.update()
        return value

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def step(batch: Batch) -> tf.Tensor:
        if strategy is None:
            return update(batch)
        return strategy.experimental_local_results(strategy.run(update, (batch,)))[0]

    compiled: TrainStep = step
    return compiled


def freeze(model: keras.Model, prefixes: Sequence[str]) -> None:
    """Freeze the layers whose name starts with one of `prefixes` (batch norm then uses and keeps its statistics); thaw all others.

    Raises:
        InputError: a prefix that no layer's name starts with, or no weight is left to train.
    """
    names = [layer.name for layer in model.layers if layer.weights]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            known = ", ".join(sorted({name.split("_")[0] + "_" for name in names}))
            raise InputError(f"no layer with weights starts with {prefix!r}, so it cannot be frozen; the names here start with {known}")
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(tuple(prefixes))
    if not model.trainable_variables:
        raise InputError(f"with {'+'.join(prefixes)} frozen nothing is left to train; freeze less")
