"""The encoders: what a decoder may count on, and the published figures of each."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.archs.summary import macs
from portraitseg.encoders import ENCODERS, mobilenet_v2, mobilenet_v4


@cache
def classifier_features(encoder: str, wm: float, size: int = 224) -> keras.Model:
    """The encoder up to what its classifier reads."""
    image = keras.Input((size, size, 3), name="image")
    if encoder == "mobilenet_v2":
        return keras.Model(image, mobilenet_v2.mobilenet_v2(image, wm=wm, head=True)[mobilenet_v2.HEAD])
    return keras.Model(image, ENCODERS[encoder].features(image, wm=wm)[-1])


def count(weights) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


@cache
def taps(encoder: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((96, 64, 4))
    return keras.Model(image, ENCODERS[encoder].features(image, wm=0.35))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_taps_lie_at_a_half_to_a_thirty_second(encoder):
    model = taps(encoder)
    assert [shape[1:3] for shape in model.output_shape] == [(96 // 2**n, 64 // 2**n) for n in range(1, 6)]
    assert not [layer.name for layer in model.layers[1:] if not layer.name.startswith("enc_")]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_weight_of_the_encoder_gets_a_gradient(encoder):
    model = taps(encoder)
    x = tf.random.stateless_normal((2, 96, 64, 4), seed=(1, 2))
    with tf.GradientTape() as tape:
        loss = tf.add_n([tf.reduce_mean(feature**2) for feature in model(x, training=True)])
    gradients = tape.gradient(loss, model.trainable_variables)
    pairs = list(zip(model.trainable_variables, gradients, strict=True))
    assert not [weight.name for weight, gradient in pairs if gradient is None]
    kernels = [(weight.name, gradient) for weight, gradient in pairs if "kernel" in weight.name]  # a bias before a BN changes nothing
    assert not [name for name, gradient in kernels if not np.any(gradient)]


# The classifier on top, from its features: 1x1 convolution (or none), then 1000 classes with bias.
V2, V3_SMALL, V3_LARGE = 1280 * 1000 + 1000, (576 * 1024 + 1024) + (1024 * 1000 + 1000), (960 * 1280 + 1280) + (1280 * 1000 + 1000)
V4, V4_HALF, RESNET = 960 * 1280 + 2 * 1280 + V2, 480 * 1280 + 2 * 1280 + V2, 2048 * 1000 + 1000


@pytest.mark.parametrize(
    ("encoder", "wm", "top", "published"),
    [
        ("mobilenet_v2", 1.0, V2, 3_504_872),  # torchvision's mobilenet_v2
        ("mobilenet_v3_small_full", 1.0, V3_SMALL, 2_542_856),  # torchvision's mobilenet_v3_small
        ("mobilenet_v3_large_full", 1.0, V3_LARGE, 5_483_032),  # torchvision's mobilenet_v3_large
        ("mobilenet_v3_small", 1.0, V3_SMALL, 2.0e6),  # both minimalistic ones: keras.applications' table
        ("mobilenet_v3_large", 1.0, V3_LARGE, 3.9e6),
        ("mobilenet_v4_conv_small", 1.0, V4, 3.77e6),  # timm's mobilenetv4_conv_small
        ("mobilenet_v4_conv_small", 0.5, V4_HALF, 2.24e6),  # timm's mobilenetv4_conv_small_050
    ],
)
def test_parameters_with_the_classifier_are_the_published_ones(encoder, wm, top, published):
    found = count(classifier_features(encoder, wm).trainable_weights) + top
    assert found == (published if isinstance(published, int) else pytest.approx(published, rel=0.025))


def test_parameters_of_resnet50():
    """25,636,712 in Keras's list, statistics and classifier included; torchvision's 25,557,032 has neither statistics nor biases."""
    model = classifier_features("resnet50", 1.0)
    assert model.count_params() + RESNET == 25_636_712
    biases = count(layer.bias for layer in model.layers if isinstance(layer, layers.Conv2D))
    assert count(model.trainable_weights) - biases + RESNET == 25_557_032


@pytest.mark.parametrize(
    ("encoder", "wm", "top", "millions"),
    [
        ("mobilenet_v2", 1.0, 1280 * 1000, 301),  # 300 in the paper
        ("mobilenet_v3_large_full", 1.0, 960 * 1280 + 1280 * 1000, 217),  # these three in keras.applications' table
        ("mobilenet_v3_large_full", 0.75, 720 * 1280 + 1280 * 1000, 155),
        ("mobilenet_v3_large", 1.0, 960 * 1280 + 1280 * 1000, 209),
        ("mobilenet_v4_conv_small", 1.0, 960 * 1280 + 1280 * 1000, 186),  # 0.19 G in timm's list
        ("resnet50", 1.0, 2048 * 1000, 3858),  # 3.8 G in the paper
    ],
)
def test_macs_at_224_are_the_published_ones(encoder, wm, top, millions):
    assert round((macs(classifier_features(encoder, wm)) + top) / 1e6) == millions


# MNv4-Conv-S in the paper's table (arXiv:2404.10518): input side and channels, kernels of the two depthwise convolutions,
# expanded width, output channels, stride; 0: none. First the three plain rows: kernel, expanded width, output, stride.
PLAIN = {
    "stem": (224, 3, 3, 0, 32, 2),
    "stage1": (112, 32, 3, 32, 32, 2),
    "stage2": (56, 32, 3, 96, 64, 2),
}
INVERTED = {
    "stage3_block0": (28, 64, 5, 5, 192, 96, 2),
    "stage3_block1": (14, 96, 0, 3, 192, 96, 1),
    "stage3_block2": (14, 96, 0, 3, 192, 96, 1),
    "stage3_block3": (14, 96, 0, 3, 192, 96, 1),
    "stage3_block4": (14, 96, 0, 3, 192, 96, 1),
    "stage3_block5": (14, 96, 3, 0, 384, 96, 1),
    "stage4_block0": (14, 96, 3, 3, 576, 128, 2),
    "stage4_block1": (7, 128, 5, 5, 512, 128, 1),
    "stage4_block2": (7, 128, 0, 5, 512, 128, 1),
    "stage4_block3": (7, 128, 0, 5, 384, 128, 1),
    "stage4_block4": (7, 128, 0, 3, 512, 128, 1),
    "stage4_block5": (7, 128, 0, 3, 512, 128, 1),
}


@pytest.fixture(scope="module")
def v4() -> dict[str, layers.Layer]:
    model = classifier_features("mobilenet_v4_conv_small", 1.0)
    return {layer.name.removeprefix("enc_"): layer for layer in model.layers}


@pytest.mark.parametrize(("stage", "row"), PLAIN.items())
def test_mobilenet_v4_plain_stage_is_the_papers(v4, stage, row):
    side, channels, kernel, expanded, out, stride = row
    first = v4[f"{stage}_fused" if expanded else stage]
    assert first.input_shape == (None, side, side, channels)
    assert (first.kernel_size, first.strides, first.filters) == ((kernel, kernel), (stride, stride), expanded or out)
    if expanded:
        last = v4[f"{stage}_project"]
        assert (last.kernel_size, last.strides, last.filters) == ((1, 1), (1, 1), out)


@pytest.mark.parametrize(("block", "row"), INVERTED.items())
def test_mobilenet_v4_block_is_the_papers(v4, block, row):
    side, channels, start, middle, expanded, out, stride = row
    expand, project = v4[f"{block}_expand"], v4[f"{block}_project"]
    assert (expand.kernel_size, expand.filters) == ((1, 1), expanded)
    assert (project.kernel_size, project.filters, project.output_shape) == ((1, 1), out, (None, side // stride, side // stride, out))
    assert (f"{block}_start" in v4, f"{block}_middle" in v4) == (start > 0, middle > 0)
    if start:
        assert v4[f"{block}_start"].input_shape == (None, side, side, channels)
        assert (v4[f"{block}_start"].kernel_size, v4[f"{block}_start"].strides) == ((start, start), (1, 1))
    else:
        assert expand.input_shape == (None, side, side, channels)
    if middle:
        assert v4[f"{block}_middle"].input_shape == (None, side, side, expanded)
        assert (v4[f"{block}_middle"].kernel_size, v4[f"{block}_middle"].strides) == ((middle, middle), (stride, stride))
    assert (f"{block}_add" in v4) == (stride == 1)


def test_mobilenet_v4_has_no_other_convolution(v4):
    convs = [name for name, layer in v4.items() if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)]
    depthwise = sum((start > 0) + (middle > 0) for _, _, start, middle, *_ in INVERTED.values())
    assert len(convs) == 1 + 2 + 2 + 2 * len(INVERTED) + depthwise + 1
    assert v4["head"].input_shape == (None, 7, 7, 128)
    assert (v4["head"].filters, mobilenet_v4.LAST) == (960, "enc_head_relu")


@pytest.mark.parametrize("wm", [0.75, 1.3])  # test_pretrained.py has others
def test_mobilenet_v2_has_keras_applications_widths(wm):
    theirs = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=wm, weights=None, include_top=False)
    ours = classifier_features("mobilenet_v2", wm, size=32)
    assert ours.count_params() == theirs.count_params()
    assert ours.output_shape == theirs.output_shape
