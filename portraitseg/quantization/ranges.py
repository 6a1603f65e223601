"""The ranges of an int8 file's tensors, as layers of a net in training: one layer for the tensors that have to share a range."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

PREFIX = "range_"
"""What the names of these layers start with, so that a phase can freeze them."""
NARROWEST = 1e-4
"""Width of the range of a tensor that is always 0: a scale of 0 cannot be divided by."""


@keras.utils.register_keras_serializable(package="portraitseg")
class Range(keras.layers.Layer):  # type: ignore[misc]  # its base has no types
    """Round a tensor to 256 steps of a range that takes in 0, as the int8 file does (Jacob 2018, arXiv:1712.05877).

    Its ends are learned like weights, from what is cut off (PACT, arXiv:1805.06085), unless the layer is frozen. It may be called several
    times: for tensors that the file keeps in one scale.
    """

    def __init__(self, fixed: Sequence[float] | None = None, **kwargs: Any) -> None:
        """Make the layer.

        Args:
            fixed: lowest and highest value, for a range that is given and never changes.
            kwargs: the base layer's.
        """
        super().__init__(**kwargs)
        self.fixed = fixed

    def build(self, input_shape: Any) -> None:
        """Create the ends, unless they are fixed."""
        if not self.fixed:
            self.low, self.high = (self.add_weight(name=name, shape=(), initializer="zeros") for name in ("low", "high"))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Any shape -> the same; the gradient passes where nothing is cut off, and goes to an end where it does."""
        low, high = self.fixed or (tf.minimum(self.low, 0.0), tf.maximum(self.high, 0.0))
        if not self.fixed:
            high = tf.maximum(high, low + NARROWEST)
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def start(self, span: tuple[float, float]) -> None:
        """Set the ends."""
        self.low.assign(span[0])
        self.high.assign(span[1])

    def span(self) -> tuple[float, float]:
        """Lowest and highest value."""
        if self.fixed:
            return float(self.fixed[0]), float(self.fixed[1])
        low = min(0.0, float(self.low))
        return low, max(0.0, float(self.high), low + NARROWEST)

    def get_config(self) -> dict[str, Any]:
        """The fixed range, beside the base layer's settings."""
        return {**super().get_config(), "fixed": self.fixed}
