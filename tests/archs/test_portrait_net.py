"""PortraitNet: its published figures, and what they would not notice."""

from functools import cache

import cv2
import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs.summary import macs
from portraitseg.image import to_input
from portraitseg.rewrite import deploy

PUBLISHED = {"deconv": 2_080_760, "grouped": 1_905_400, "bilinear": 1_902_584}


@cache
def build(size: int = 32, **settings) -> keras.Model:
    return archs.build(archs.new_card("portrait_net", size=size, **settings))


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


def sources(model: keras.Model, name: str) -> set[str]:
    return {tensor.name.split("/")[0] for tensor in model.get_layer(name).input}


@pytest.mark.parametrize("up", PUBLISHED)
def test_published_counts_have_two_channels_and_no_boundary_head(up):
    model = build(classes=2, up=up)
    assert trainable(archs.logits_model(model)) == PUBLISHED[up]
    assert trainable(model) - PUBLISHED[up] == 3 * 3 * 8 * 2 == 144
    assert model.count_params() - trainable(model) == 34_000  # the published statistics of the batch normalisations
    assert deploy.folded_params(model) == PUBLISHED[up] - 34_000 // 2  # scale and shift become one bias


def test_a_fourth_channel_adds_its_kernel():
    assert trainable(build(channels=4)) - trainable(build()) == 3 * 3 * 32


@pytest.mark.slow  # the list of all nets (tests/cli/test_archs.py) has this count too
def test_macs_at_224():
    """By hand: what is added to MobileNetV2's 1x1 and depthwise layers is the first block's own 1x1."""
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    side, channels = 112, 32
    total = side**2 * 27 * 32
    for expansion, filters, repeats, first in stages:
        for stride in [first] + [1] * (repeats - 1):
            wide = expansion * channels
            total += side**2 * channels * wide
            side //= stride
            total += side**2 * (9 * wide + wide * filters)
            channels = filters
    for filters in (96, 32, 24, 16, 8):
        total += side**2 * (9 * channels + channels * filters + 9 * filters + filters**2 + channels * filters)  # the last: the shortcut
        total += side**2 * 16 * filters**2
        side, channels = 2 * side, filters
    total += side**2 * 9 * channels * 2
    assert side == 224
    model = archs.logits_model(build(224, classes=2))
    assert macs(model) == total
    resized = archs.logits_model(build(224, classes=2, up="bilinear"))
    doubling = sum(16 * f**2 * (7 * 2**n) ** 2 for n, f in enumerate((96, 32, 24, 16, 8)))
    assert macs(model) - macs(resized) == doubling
    assert macs(archs.logits_model(build(224, classes=2, up="grouped"))) == macs(model)  # run as full convolutions


def test_relus_have_no_limit_and_convolutions_no_bias():
    model = build()
    relus = [layer for layer in model.layers if isinstance(layer, layers.ReLU)]
    assert len(relus) == 35 + 5 * 4  # the stem's and two a block; four a transition
    assert {layer.max_value for layer in relus} == {None}
    assert not [layer.name for layer in model.layers if getattr(layer, "use_bias", False)]


def test_skips():
    model = build()
    assert [sources(model, f"dec{level}_add") for level in (4, 3, 2)] == [
        {"dec4_up", "enc_block_12_add"},
        {"dec3_up", "enc_block_5_add"},
        {"dec2_up", "enc_block_2_add"},
    ]
    assert len([layer for layer in model.layers if layer.name.startswith("dec") and layer.name.endswith("_add")]) == 3


def transposed(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Transposed 4x4 convolution, stride 2, one pixel cut all round: (h,w,I) and (4,4,O,I) -> (2h,2w,O), as PyTorch's padding=1."""
    height, width, _ = x.shape
    out = np.zeros((2 * height + 2, 2 * width + 2, kernel.shape[2]))
    for row in range(height):
        for column in range(width):
            out[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += kernel @ x[row, column]
    return out[1:-1, 1:-1]


@pytest.mark.parametrize("up", ["deconv", "grouped"])
def test_doubling_is_pytorchs_transposed_convolution(up):
    layer, rng = build(wm=0.25, up=up).get_layer("dec4_up"), np.random.default_rng(0)
    kernel = rng.normal(size=layer.kernel.shape)
    x = rng.normal(size=(1, 3, 3, layer.input_shape[3]))
    fresh = keras.Input(x.shape[1:])
    found = keras.Model(fresh, layer.__class__.from_config(layer.get_config())(fresh))
    found.layers[-1].set_weights([kernel])
    full = kernel if up == "deconv" else kernel[..., None] * np.eye(kernel.shape[-1])
    np.testing.assert_allclose(found(x.astype(np.float32)).numpy()[0], transposed(x[0], full), atol=1e-4)


@pytest.mark.parametrize("up", ["deconv", "grouped", "bilinear"])
def test_doubling_starts_as_a_bilinear_resize(up):
    layer = build(up=up).get_layer("dec2_up")
    x = np.random.default_rng(0).normal(size=(1, *layer.input_shape[1:])).astype(np.float32)
    expected = cv2.resize(x[0], None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert expected.shape == (8, 8, 24)
    np.testing.assert_allclose(layer(x).numpy()[0, 1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)


def test_input_is_blue_green_red_less_its_mean():
    card = archs.new_card("portrait_net", size=32, channels=4)
    picture = np.full((40, 30, 3), (200, 100, 50), np.uint8)
    expected = [(50 - 103.94) * 0.017, (100 - 116.78) * 0.017, (200 - 123.68) * 0.017, 0]
    np.testing.assert_allclose(to_input(picture, card)[5, 5], expected, rtol=1e-5)
    assert archs.new_card("portrait_net").size == (224, 224)


def test_boundary_ships_not():
    card = archs.new_card("portrait_net", size=32, classes=2)
    model = archs.build(card)
    assert model.output_names == ["logits", "boundary"]
    assert {output.shape[1:] for output in model.outputs} == {(32, 32, 2)}
    deployed, _ = deploy.to_deploy(model, card)
    assert not [layer.name for layer in deployed.layers if "boundary" in layer.name]
    assert deployed.output_shape == (1, 32, 32, 2)


def test_encoder_layers_are_keras_applications_and_one_more_convolution():
    source = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.5, weights=None, include_top=False)
    theirs = {layer.name: [w.shape for w in layer.weights] for layer in source.layers if layer.weights}
    ours = {
        layer.name[4:]: [w.shape for w in layer.weights] for layer in build(wm=0.5).layers if layer.weights and layer.name[:4] == "enc_"
    }
    assert ours.keys() - theirs.keys() == {"expanded_conv_expand", "expanded_conv_expand_BN"}
    assert theirs.keys() - ours.keys() == {"Conv_1", "Conv_1_bn"}
    assert {name: ours[name] for name in ours.keys() & theirs.keys()} == {name: theirs[name] for name in ours.keys() & theirs.keys()}
    assert ours["expanded_conv_expand"] == [(1, 1, 16, 16)]
