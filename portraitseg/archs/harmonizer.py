"""The harmonizer: a composite and its mask -> the numbers of a colour filter that fits the person to the scene (`compose.harmonize`).

A small encoder and a global mean: what a filter for the whole person needs is what light and colours person and scene have on the whole.
Every operation is one that XNNPACK takes in int8.
"""

import tf_keras as keras
from tf_keras import layers as kl

from portraitseg import layers
from portraitseg.layers import KerasTensor

SIZE = 64
"""Height and width of the input by default, in pixels."""
NUMBERS = 33
"""Outputs; `compose.harmonize.NUMBERS`."""
STAGES = (32, 48, 64, 96, 128)
"""Channels after each halving."""


def build(size: int = SIZE) -> keras.Model:
    """(N,size,size,4), RGB and mask in [0,1] -> (N,33); 0 from the start, when no filter changes anything."""
    inputs = keras.Input((size, size, 4), name="composite")
    rgb, mask = inputs[..., :3], inputs[..., 3:]
    person = kl.Multiply(name="person")([rgb, mask])
    scene = kl.Subtract(name="scene")([rgb, person])
    x = kl.Concatenate(name="apart")([person, scene, mask])  # N,size,size,7
    for number, channels in enumerate(STAGES, 1):
        x = _block(x, channels, 2, name=f"enc{number}")  # N,size/2^number,..,channels
    x = _block(x, STAGES[-1], 1, name="mix")
    x = kl.GlobalAveragePooling2D(keepdims=True, name="pool")(x)  # N,1,1,C
    x = layers.relu(layers.conv(x, 128, 1, name="head_hidden"), name="head_relu")
    x = kl.Conv2D(NUMBERS, 1, kernel_initializer="zeros", name="head_numbers")(x)
    return keras.Model(inputs, kl.Reshape((NUMBERS,), name="numbers")(x), name="harmonizer")


def _block(x: KerasTensor, filters: int, stride: int, *, name: str) -> KerasTensor:
    """3x3 convolution, batch normalisation, ReLU."""
    x = layers.conv(x, filters, 3, stride=stride, bias=False, name=f"{name}_conv")
    return layers.relu(layers.norm(x, name=f"{name}_bn"), name=f"{name}_relu")
