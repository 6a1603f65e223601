"""selfie_net against what MediaPipe's published file holds, convolution by convolution in the order in which they run."""

from functools import cache

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs

PUBLISHED = """
stem:  3 3-16
0:     1 16-16, d3 16-16, 1 16-8, 1 8-16, 1 16-16
1:     1 16-72, d3 72-72, 1 72-24
2:     1 24-88, d3 88-88, 1 88-24
3:     1 24-96, d5 96-96, 1 96-24, 1 24-96, 1 96-32
4:     1 32-128, d5 128-128, 1 128-32, 1 32-128, 1 128-32
5:     1 32-128, d5 128-128, 1 128-32, 1 32-128, 1 128-32
6:     1 32-96, d5 96-96, 1 96-24, 1 24-96, 1 96-32
7:     1 32-96, d5 96-96, 1 96-24, 1 24-96, 1 96-32
aspp:  1 32-128, 1 32-128
1/8:   1 128-24, 1 24-24, 1 24-24, 1 24-24, d3 24-24
1/4:   1 24-16, 1 16-16, 1 16-16, 1 16-16, d3 16-16
1/2:   1 16-16, 1 16-16, 1 16-16, 1 16-16, d3 16-16
head:  t2 16-1
"""
"""Kernel and channels, of mediapipe_selfie_segmentation_256x256.tflite; d: depthwise, t: transposed."""


@cache
def build(size: int = 256, **settings) -> keras.Model:
    return archs.build(archs.new_card("selfie_net", size=size, **settings))


def described(layer: keras.layers.Layer) -> str:
    kernel, kind = layer.weights[0].shape, type(layer)
    if kind is layers.Conv2DTranspose:
        return f"t{kernel[0]} {kernel[3]}-{kernel[2]}"
    return f"d{kernel[0]} {kernel[2]}-{kernel[2]}" if kind is layers.DepthwiseConv2D else f"{kernel[0]} {kernel[2]}-{kernel[3]}"


def test_every_convolution_of_the_published_file():
    expected = [conv for line in PUBLISHED.split("\n") if line for conv in line.partition(":")[2].strip().split(", ")]
    assert len(expected) == 55
    assert [described(layer) for layer in build().layers if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)] == expected


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("enc_stem", (128, 128, 16)),
        ("enc_block0_project", (64, 64, 16)),
        ("enc_block2_add", (32, 32, 24)),
        ("enc_block7_add", (16, 16, 32)),
        ("dec4_gated", (16, 16, 128)),
        ("dec3_sum", (32, 32, 24)),
        ("dec1_sum", (128, 128, 16)),
    ],
)
def test_maps_as_in_the_file(name, shape):
    assert build().get_layer(name).output.shape[1:] == shape


def test_a_gate_of_zero_shuts_the_skip_out():
    """The skip at 1/2 is the stem itself: with its gate shut, what the stem does reaches the mask through 1/4 alone."""
    model = build(64)
    gate = model.get_layer("dec1_gate_widen")
    gate.set_weights([0 * gate.get_weights()[0], np.full(16, -1e3, np.float32)])
    x = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, 3)).astype(np.float32)
    gated = keras.Model(model.input, [model.get_layer(name).output for name in ("dec1_gated", "dec1_add", "dec1_narrow_BN")])(x)
    assert not np.any(gated[0])
    assert np.any(gated[1])
    np.testing.assert_array_equal(gated[1], gated[2])
