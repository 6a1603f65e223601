"""U2-Net against the paper's table of stages, counted anew by a formula that knows nothing of the code."""

import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs
from portraitseg.archs.summary import macs
from portraitseg.card import IMAGENET

# the paper's table 1: stage, L (0: RSU-4F), inputs, middle, outputs, stride of its resolution
PAPER = [
    ("En_1", 7, 3, 32, 64, 1),
    ("En_2", 6, 64, 32, 128, 2),
    ("En_3", 5, 128, 64, 256, 4),
    ("En_4", 4, 256, 128, 512, 8),
    ("En_5", 0, 512, 256, 512, 16),
    ("En_6", 0, 512, 256, 512, 32),
    ("De_5", 0, 1024, 256, 512, 16),
    ("De_4", 4, 1024, 128, 256, 8),
    ("De_3", 5, 512, 64, 128, 4),
    ("De_2", 6, 256, 32, 64, 2),
    ("De_1", 7, 128, 16, 64, 1),
]
SMALL = [(name, height, {"En_1": 3}.get(name, 128 if name[:2] == "De" else 64), 16, 64, stride) for name, height, *_, stride in PAPER]


def convolutions(height, inputs, middle, outputs):
    """(inputs, outputs, stride within the block) of each 3x3 convolution of a block."""
    yield inputs, outputs, 1
    depth = height or 4
    strides = [2**step if height else 1 for step in range(depth - 1)]  # 1, 2, 4, ... as pooling halves
    yield outputs, middle, 1
    for stride in strides[1:]:
        yield middle, middle, stride
    yield middle, middle, strides[-1]  # the bottom, dilated instead of pooled
    for stride in reversed(strides[1:]):
        yield 2 * middle, middle, stride
    yield 2 * middle, outputs, 1


def by_hand(table, size):
    """Trainable parameters (kernel, bias, gamma, beta) and multiply-adds of the whole net with one class."""
    parameters = macs_ = 0
    for _, height, inputs, middle, outputs, stride in table:
        for a, b, inner in convolutions(height, inputs, middle, outputs):
            parameters += 9 * a * b + 3 * b
            macs_ += 9 * a * b * (size // stride // inner) ** 2
    for name, _, _, _, outputs, stride in table:
        if name == "En_6" or name[:2] == "De":
            parameters += 9 * outputs + 1
            macs_ += 9 * outputs * (size // stride) ** 2
    return parameters + 6 + 1, macs_ + 6 * size**2


@pytest.mark.parametrize(
    ("arch", "table", "published"), [pytest.param("u2net", PAPER, 44_009_869, marks=pytest.mark.slow), ("u2netp", SMALL, 1_131_181)]
)
def test_parameters_and_macs_are_those_of_the_papers_table(arch, table, published):
    model = archs.build(archs.new_card(arch))
    parameters, multiply_adds = by_hand(table, 320)
    assert parameters == published
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == published
    assert macs(model) == multiply_adds


@pytest.fixture(scope="module")
def small():
    return archs.build(archs.new_card("u2netp", size=32))


def test_one_layers_macs(small):
    """The first convolution: 3x3 kernel, 3 -> 64 channels, 32x32 places."""
    layer = small.get_layer("enc_1_in_conv")
    assert macs(keras.Model(small.input, layer.output)) == 9 * 3 * 64 * 32 * 32 == 1_769_472


def test_dilations(small):
    found = {layer.name: layer.dilation_rate[0] for layer in small.layers if isinstance(layer, keras.layers.Conv2D)}
    dilated = {name: rate for name, rate in found.items() if rate > 1}
    wanted = {f"{stage}_bottom_conv": 2 for stage in ("enc_1", "enc_2", "enc_3", "enc_4", "dec4", "dec3", "dec2", "dec1")}
    for stage in ("enc_5", "enc_6", "dec5"):
        wanted |= {f"{stage}_down{step}_conv": rate for step, rate in ((2, 2), (3, 4), (4, 8))}
        wanted |= {f"{stage}_up3_conv": 4, f"{stage}_up2_conv": 2}
    assert dilated == wanted


def test_every_map_halves_exactly_down_to_one_pixel(small):
    """At 32 pixels, the smallest size, nothing is rounded: the deepest maps have one pixel."""
    pools = [layer for layer in small.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert all(layer.input_shape[1] == 2 * layer.output_shape[1] for layer in pools)
    assert len(pools) == 5 + 2 * (5 + 4 + 3 + 2)  # between the stages; in each RSU-7, 6, 5, 4 of encoder and decoder
    assert small.get_layer("enc_1_bottom_conv").output_shape[1] == small.get_layer("enc_6_add").output_shape[1] == 1


@pytest.fixture(scope="module")
def half():
    keras.utils.set_random_seed(0)
    return archs.build(archs.new_card("u2netp", size=32, wm=0.5, classes=2))


def test_the_logits_are_a_mix_of_all_sides_finest_first(half):
    assert half.output_names == ["logits", *(f"side{level}" for level in range(1, 7))]
    assert {output.shape[1:] for output in half.outputs} == {(32, 32, 2)}
    kernel = np.zeros((1, 1, 12, 2), np.float32)
    kernel[0, 0, 2, 0], kernel[0, 0, 11, 1] = 1, 3  # channel 0 of side2, channel 1 of side6
    half.get_layer("head_conv").set_weights([kernel, np.float32([0.5, 0])])
    logits, *sides = half(np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32))
    assert np.std(sides[1]) > 0
    np.testing.assert_allclose(logits[..., 0], sides[1][..., 0] + 0.5, atol=1e-6)
    np.testing.assert_allclose(logits[..., 1], 3 * sides[5][..., 1], atol=1e-6)


def test_the_sides_ship_with_the_fusion(small):
    trunk = archs.logits_model(small)
    assert {f"head_side{level}_conv" for level in range(1, 7)} <= {layer.name for layer in trunk.layers}


def test_wm_scales_every_width(half):
    widths = {layer.name: layer.filters for layer in half.layers if isinstance(layer, keras.layers.Conv2D) and "head" not in layer.name}
    outer = {name for name, filters in widths.items() if filters == 32}
    assert outer == {name for name in widths if name.endswith(("_in_conv", "_up1_conv"))}
    assert {filters for name, filters in widths.items() if name not in outer} == {8}


def test_input_is_imagenets_range():
    assert archs.new_card("u2net").input == archs.new_card("u2netp").input == IMAGENET
