"""The ranges of an int8 file's tensors, as layers of a net in training: one layer for the tensors that have to share a range."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

PREFIX = "range_"
"""What the names of these layers start with, so that a phase can freeze them."""
DECAY = 0.99
"""Of the moving average of a batch's extremes."""
NARROWEST = 1e-4
"""Width of the range of a tensor that is always 0: a scale of 0 cannot be divided by."""


@keras.utils.register_keras_serializable(package="portraitseg")
class Range(keras.layers.Layer):  # type: ignore[misc]  # its base has no types
    """Round a tensor to 256 steps of a range that takes in 0, as the int8 file does (Jacob 2018, arXiv:1712.05877).

    In training the range follows the extremes of the batches, unless the layer is frozen. It may have several members: tensors
    that the file keeps in one scale, each with extremes of its own; all are rounded to the range that takes all of them in.
    """

    def __init__(self, members: int = 1, fixed: Sequence[float] | None = None, **kwargs: Any) -> None:
        """Make the layer.

        Args:
            members: tensors that share the range.
            fixed: lowest and highest value, for a range that is given and never changes.
            kwargs: the base layer's.
        """
        super().__init__(**kwargs)
        self.members, self.fixed = members, fixed

    def build(self, input_shape: Any) -> None:
        """Create the extremes, a pair for each member, unless they are fixed."""
        count = 0 if self.fixed else self.members
        self.lows = [self.add_weight(name=f"low{number}", shape=(), trainable=False) for number in range(count)]
        self.highs = [self.add_weight(name=f"high{number}", shape=(), trainable=False) for number in range(count)]
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, member: int = 0, training: bool | None = None) -> tf.Tensor:
        """Any shape -> the same; the gradient passes where nothing is cut off."""
        if training and self.trainable and not self.fixed:
            for extreme, value in ((self.lows[member], tf.reduce_min(inputs)), (self.highs[member], tf.reduce_max(inputs))):
                extreme.assign_sub((1 - DECAY) * (extreme - tf.stop_gradient(value)))
        low, high = self.fixed or (tf.reduce_min([*self.lows, 0.0]), tf.reduce_max([*self.highs, 0.0]))
        if not self.fixed:
            high = tf.maximum(high, low + NARROWEST)
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def start(self, extremes: Sequence[tuple[float, float]]) -> None:
        """Set every member's lowest and highest value."""
        for low, high, (lowest, highest) in zip(self.lows, self.highs, extremes, strict=True):
            low.assign(lowest)
            high.assign(highest)

    def span(self) -> tuple[float, float]:
        """Lowest and highest value of the shared range."""
        if self.fixed:
            return float(self.fixed[0]), float(self.fixed[1])
        low, high = (float(pick([0.0, *(float(value) for value in values)])) for pick, values in ((min, self.lows), (max, self.highs)))
        return low, max(high, low + NARROWEST)

    def get_config(self) -> dict[str, Any]:
        """Members and fixed range, beside the base layer's settings."""
        return {**super().get_config(), "members": self.members, "fixed": self.fixed}
