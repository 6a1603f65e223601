"""Slim-Net: its published figures, and what they would not notice."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs.summary import macs


@cache
def build(size: int = 32, **settings) -> keras.Model:
    return archs.build(archs.new_card("slim_net", size=size, **settings))


def sources(model: keras.Model, name: str) -> set[str]:
    return {tensor.name.split("/")[0] for tensor in model.get_layer(name).input}


@pytest.mark.slow  # the list of all nets (tests/cli/test_archs.py) has this count too
def test_published_count_has_two_channels():
    assert build(classes=2).count_params() == 347_570
    assert build(classes=1).count_params() == 347_570 - (2 * 2 * 8 + 1)
    assert build(classes=2, channels=4).count_params() == 347_570 + 2 * 2 * 8


def test_macs_at_512():
    """Published (rounded up) as 297 M, with two channels; the second costs 2x2x8 at 256x256."""
    assert (macs(build(512)) + 256**2 * 4 * 8) / 1e6 == pytest.approx(297, abs=1)


def test_as_many_operations_as_the_published_file():
    """Its 36 additions are the net's 31 and, by an older converter, the biases of the 5 transposed convolutions."""
    counts = Counter(type(layer).__name__ for layer in build().layers)
    assert counts == {
        "InputLayer": 1,
        "Activation": 1,
        "Conv2D": 90,
        "PReLU": 100,
        "DepthwiseConv2D": 28,
        "Add": 36 - 5,
        "UpSampling2D": 3,
        "Conv2DTranspose": 5,
        "MaxPooling2D": 3,
        "Concatenate": 2,
    }


def test_the_blocks_at_1_32_differ_as_published():
    model = build()
    dilated = {n: model.get_layer(f"enc_block{n}_dense").dilation_rate[0] for n in (11, 13, 15, 17, 19, 21, 22)}
    assert dilated == {11: 2, 13: 4, 15: 8, 17: 2, 19: 4, 21: 8, 22: 1}
    wide = [layer.name for layer in model.layers if getattr(layer, "kernel_size", 0) == (5, 5)]
    assert wide == ["enc_block12_separable_depthwise", "enc_block18_separable_depthwise"]
    assert [model.get_layer(f"enc_block{n}_narrow").filters for n in (1, 4, 9, 10, 21, 22)] == [16, 32, 16, 8, 8, 4]


def test_a_dilated_block_sees_as_far_as_its_dilation():
    """Of an impulse at the centre block 15 alone, dilation 8, gives its input's place and its eight neighbours 8 pixels away."""
    model = build(512)
    inner = model.get_layer("enc_block15_narrow_act").output
    start = keras.Input(inner.shape[1:])
    grid = keras.Model(start, model.get_layer("enc_block15_dense")(start))
    x = np.zeros((1, *inner.shape[1:]), np.float32)
    x[0, 8, 8] = 1
    rows, columns = np.nonzero(np.abs(grid(x).numpy()[0]).sum(-1))
    assert set(zip(rows, columns, strict=True)) == {(r, c) for r in (0, 8, 16) for c in (0, 8, 16) if r < 16 and c < 16}


def test_skips():
    model = build()
    assert sources(model, "dec4_skip") == {"dec4_direct", "enc_block9_pool"}
    assert sources(model, "dec3_skip") == {"dec3_direct", "enc_block4_pool"}
    assert sources(model, "dec2_skip") == {"dec2_direct", "enc_block1_pool"}
    assert sources(model, "dec4_concat") == {"dec4_sum_act", "enc_block5_act"}
    assert sources(model, "dec3_concat") == {"dec3_sum_act", "enc_block2_act"}
    # a pooled input as wide as the block's output is the shortcut itself; any other passes a 1x1
    assert sources(model, "enc_block9_add") == {"enc_block9_widen", "enc_block9_pool"}
    assert sources(model, "enc_block4_add") == {"enc_block4_widen", "enc_block4_shortcut"}
    assert sources(model, "enc_block8_add") == {"enc_block8_widen", "enc_block8_act"}


def test_a_slope_for_each_channel_and_none_for_a_place():
    slopes = [layer for layer in build().layers if isinstance(layer, layers.PReLU)]
    assert {layer.alpha.shape[:2] for layer in slopes} == {(1, 1)}
    assert sum(layer.count_params() for layer in slopes) == build().count_params() - build(act="relu").count_params()


@pytest.mark.parametrize(("act", "slope"), [("prelu", 0.0), ("relu", 0.0), ("leaky", 0.1)])
def test_acts(act, slope):
    model = build() if act == "prelu" else build(act=act)
    names = [layer.name for layer in model.layers if layer.name.endswith("_act")]
    assert len(names) == 100
    x = np.float32([[[[-2.0, 3.0, -1.0, 0.5] * 2]]])
    assert {type(model.get_layer(name)) for name in names} == {type(model.get_layer("enc_stem1_act"))}
    found = model.get_layer("enc_stem1_act")(x).numpy()
    np.testing.assert_allclose(found, np.where(x < 0, slope * x, x), rtol=1e-6)


def test_resize_changes_the_function_alone():
    half, corners = build(), build(resize="align_corners")
    assert half.count_params() == corners.count_params()
    corners.set_weights(half.get_weights())
    x = np.random.default_rng(0).uniform(0, 1, (1, 32, 32, 3)).astype(np.float32)
    assert np.abs(half(x).numpy() - corners(x).numpy()).max() > 1e-4


@pytest.mark.parametrize(("wm", "widths"), [pytest.param(0.5, [4, 16, 8, 32, 64], marks=pytest.mark.slow), (2.0, [16, 64, 32, 128, 256])])
def test_wm_scales_every_width(wm, widths):
    model = build(wm=wm)
    names = ("enc_stem1", "enc_stem2", "enc_block1_narrow", "enc_block1_widen", "enc_block22_widen")
    assert [model.get_layer(name).filters for name in names] == widths
