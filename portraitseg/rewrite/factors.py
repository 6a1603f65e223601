"""Through which layers a positive factor passes: what rewriting and rounding may move it by."""

from tf_keras import activations, layers

from portraitseg.resizing import AlignCorners
from portraitseg.rewrite.graph import Step
from portraitseg.rewrite.thin_resize import EdgePad

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
"""Keras derives its transposed one from the first."""
KEEPING = (
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.UpSampling2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    AlignCorners,
    EdgePad,
)
"""Layers of one map that keep a factor, and each channel in its place."""


def is_linear(step: Step) -> bool:
    """Whether the step is a convolution without an activation, so that a factor of its weights and bias is one of what it gives."""
    return isinstance(step.layer, CONVOLUTIONS) and step.layer.activation is activations.linear
