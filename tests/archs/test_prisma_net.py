"""Prisma-Net: its published figures, and what they would not notice."""

from functools import cache

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs import prisma_net
from portraitseg.archs.summary import macs


def fresh(size: int = 32, **settings) -> keras.Model:
    keras.utils.set_random_seed(0)
    return archs.build(archs.new_card("prisma_net", size=size, **settings))


build = cache(fresh)  # for tests that leave the weights alone


def of_kind(model: keras.Model, kind: type) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_published_count_and_its_input_channels():
    assert build().count_params() == 923_057
    assert build(channels=4).count_params() == 923_057 + 3 * 3 * 8
    assert build(classes=2).count_params() == 923_057 + 8 + 1


def test_macs_at_256():
    """Published (rounded up) as 1,098 M; here by hand, level by level."""
    pixels = [(256 >> level) ** 2 for level in range(5)]
    widths, blocks = [8, 32, 64, 128, 128], [1 + 3, 1 + 3, 1 + 3, 2 + 3, 6]
    residual = sum(n * count * 2 * (9 * c + c * c) for n, c, count in zip(pixels, widths, blocks, strict=True))
    down = sum(n * 9 * before * c for n, before, c in zip(pixels, [3, *widths], widths, strict=False))
    up = sum(pixels[level + 1] * 9 * widths[level + 1] * widths[level] for level in range(4))
    total = residual + down + up + pixels[0] * 8
    assert total == 1_097_465_856
    assert macs(build(256)) == total


def test_no_normalisation_and_the_published_blocks():
    model = build()
    kinds = {type(layer) for layer in model.layers}
    assert kinds == {
        layers.InputLayer,
        layers.Conv2D,
        layers.Conv2DTranspose,
        layers.DepthwiseConv2D,
        layers.ReLU,
        layers.Add,
        layers.Activation,
    }
    blocks = 1 + 1 + 1 + 2 + 6 + 4 * 3
    assert len(of_kind(model, layers.ReLU)) == len(of_kind(model, layers.DepthwiseConv2D)) == 2 * blocks
    assert len(of_kind(model, layers.Add)) == blocks + 4
    assert [layer.strides for layer in of_kind(model, layers.Conv2DTranspose)] == [(2, 2)] * 4 + [(1, 1)]


def test_outside_the_blocks_nothing_is_nonlinear():
    """With the branches' kernels at 0 only convolutions and additions are left, without biases yet: twice the input, twice the output."""
    model = fresh()
    for layer in of_kind(model, layers.DepthwiseConv2D):
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    once, minus = model(x).numpy(), model(-x).numpy()
    assert once.std() > 0.1
    np.testing.assert_allclose(minus, -once, rtol=1e-4, atol=1e-4 * np.abs(once).max())


def separable(x: np.ndarray, kernel: np.ndarray, mix: np.ndarray, bias: np.ndarray) -> np.ndarray:
    height, width, _ = x.shape
    padded = np.pad(np.maximum(x, 0), ((1, 1), (1, 1), (0, 0)))
    spread = sum(padded[r : r + height, c : c + width] * kernel[r, c, :, 0] for r in range(3) for c in range(3))
    return spread @ mix[0, 0] + bias


def test_residual_block_by_numpy():
    model, rng = fresh(), np.random.default_rng(1)
    weights = []
    for step in (1, 2):
        kernel, mix, bias = (rng.normal(size=shape) for shape in ((3, 3, 128, 1), (1, 1, 128, 128), (128,)))
        model.get_layer(f"enc_level4_block6_conv{step}_depthwise").set_weights([kernel])
        model.get_layer(f"enc_level4_block6_conv{step}_project").set_weights([mix / 10, bias])
        weights.append((kernel, mix / 10, bias))
    block = keras.Model(model.input, [model.get_layer("enc_level4_block5_add").output, model.get_layer("enc_level4_block6_add").output])
    before, after = (tensor.numpy()[0] for tensor in block(rng.normal(size=(1, 32, 32, 3)).astype(np.float32)))
    expected = before + separable(separable(before, *weights[0]), *weights[1])
    np.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize(("level", "last"), [(3, "enc_level3_block2_add"), (2, "enc_level2_block1_add"), (0, "enc_level0_block1_add")])
def test_skips_are_the_last_tensors_of_their_level(level, last):
    assert {tensor.name.split("/")[0] for tensor in build().get_layer(f"dec{level}_add").input} == {f"dec{level}_up", last}


def test_wm_scales_every_width():
    model = build(wm=0.5)
    assert [row[0] for row in prisma_net.STAGES] == [8, 32, 64, 128, 128]
    assert [model.get_layer(f"enc_level{level}_conv").filters for level in range(5)] == [8, 16, 32, 64, 64]
    assert [model.get_layer(f"dec{level}_up").filters for level in range(4)] == [8, 16, 32, 64]
