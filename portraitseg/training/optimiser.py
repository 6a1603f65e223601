"""The optimizer that the settings describe, what of it changes in each step, and the average of the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras as keras

from portraitseg.training.settings import OptimiserSettings


class _L2:
    """Adds the weights, times `l2`, to their gradients, after these were clipped: weight decay as in PyTorch's Adam and SGD."""

    l2 = 0.0

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """Keras's hook for one variable's update."""
        if self.l2 and self._use_weight_decay(variable):  # type: ignore[attr-defined]  # of Keras's optimizers
            gradient += self.l2 * variable
        super().update_step(gradient, variable)  # type: ignore[misc]


class Adam(_L2, keras.optimizers.Adam):  # type: ignore[misc]  # its base has no types
    """Adam whose weight decay is part of the gradient (Kingma 2015, arXiv:1412.6980)."""


class SGD(_L2, keras.optimizers.SGD):  # type: ignore[misc]
    """Gradient descent with momentum, whose weight decay is part of the gradient."""


def make_optimizer(settings: OptimiserSettings, model: keras.Model, lr: float) -> Any:
    """A fresh optimizer for the model's trainable variables of this moment, built; for float16 it scales the loss."""
    common = {"learning_rate": lr, "global_clipnorm": settings.clip_norm or None}
    if settings.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(beta_1=settings.momentum, weight_decay=settings.weight_decay, **common)
    elif settings.optimizer == "adam":
        optimizer = Adam(beta_1=settings.momentum, **common)
        optimizer.l2 = settings.weight_decay
    else:
        optimizer = SGD(momentum=settings.momentum, **common)
        optimizer.l2 = settings.weight_decay
    if settings.momentum_range:  # a variable, so that the compiled step sees it change
        setattr(optimizer, _momentum_of(optimizer), tf.Variable(settings.momentum, trainable=False))
    optimizer.exclude_from_weight_decay(var_list=undecayed(model))
    if settings.precision == "mixed_float16":
        optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    return optimizer


def undecayed(model: keras.Model) -> list[tf.Variable]:
    """What no weight decay pulls at: all but kernels, that is biases, the slopes of PReLU, and batch norm's scale and offset."""
    return [variable for variable in model.trainable_variables if "kernel" not in variable.name.rsplit("/", 1)[-1]]


def set_momentum(optimizer: Any, value: float) -> None:
    """Set the momentum of an optimizer that was made to have it cycled."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    getattr(inner, _momentum_of(inner)).assign(value)


def _momentum_of(optimizer: Any) -> str:
    return "momentum" if isinstance(optimizer, SGD) else "beta_1"


def state_of(optimizer: Any) -> list[tf.Variable]:
    """All that an interrupted optimizer needs to go on: its variables, and float16's loss scale, which Keras keeps apart from them."""
    if not isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer):
        return list(optimizer.variables)
    return [*optimizer.variables, optimizer._loss_scale.current_loss_scale, optimizer.dynamic_counter]


class Average:
    """The exponential moving average of a model's weights, batch-norm statistics among them (Polyak 1992).

    The statistics are averaged like the weights, so that they belong to the same stretch of the training. At the start the decay is
    (1 + n) / (10 + n) after n steps if that is smaller, as in TensorFlow, or the random weights of the beginning would stay for long.
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self.weights, self.decay = list(model.weights), decay
        alike = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}  # every replica comes to the same
        self.averages = [tf.Variable(weight, **alike) for weight in self.weights]
        self.count = tf.Variable(0.0, **alike)

    @property
    def variables(self) -> list[tf.Variable]:
        """What an interruption has to save."""
        return [self.count, *self.averages]

    def update(self) -> None:
        """Take the weights after one more step in."""
        self.count.assign_add(1.0)
        decay = tf.minimum(self.decay, (1.0 + self.count) / (10.0 + self.count))
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.assign_sub((1.0 - decay) * (average - weight))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages into the model; afterwards the weights come back as they were."""
        kept = [weight.numpy() for weight in self.weights]
        for weight, average in zip(self.weights, self.averages, strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for weight, value in zip(self.weights, kept, strict=True):
                weight.assign(value)
