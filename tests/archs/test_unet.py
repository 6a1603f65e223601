"""U-Nets: the published counts, worked by hand, and every encoder."""

import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs
from portraitseg.archs.summary import macs
from portraitseg.card import CAFFE, SYMMETRIC
from portraitseg.encoders import ENCODERS
from portraitseg.rewrite.deploy import folded_params

KINDS = [
    name if name in ("mobilenet_v2", "mobilenet_v4_conv_small", "resnet50") else pytest.param(name, marks=pytest.mark.slow)
    for name in ENCODERS
]
"""The encoders; test_munet.py has the others each time."""


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def double(channels: int, mid: int, out: int) -> int:
    """Two 3x3 convolutions without bias, each with the scale and shift of a batch normalisation."""
    return 9 * channels * mid + 2 * mid + 9 * mid * out + 2 * out


def test_the_classic_unet_has_31_million_parameters():
    widths = (64, 128, 256, 512, 1024)
    encoder = sum(double(before, width, width) for before, width in zip((3, *widths), widths, strict=False))
    ups = sum(4 * 2 * width * width + width for width in widths[:-1])  # 2x2, from twice the width, with bias
    decoder = sum(double(2 * width, width, width) for width in widths[:-1])
    assert encoder + ups + decoder + (64 + 1) == 31_037_633
    model = archs.build(archs.new_card("unet", size=32))
    assert trainable(model) == 31_037_633
    norms = 2 * sum(widths) + 2 * sum(widths[:-1])  # channels that are normalised
    assert model.count_params() == 31_037_633 + 2 * norms
    assert folded_params(model) == 31_037_633 - norms


def test_the_bilinear_unet_has_17_million_parameters():
    widths = (64, 128, 256, 512, 512)
    encoder = sum(double(before, width, width) for before, width in zip((3, *widths), widths, strict=False))
    decoder = double(512 + 512, 512, 256) + double(256 + 256, 256, 128) + double(128 + 128, 128, 64) + double(64 + 64, 64, 64)
    assert encoder + decoder + (64 + 1) == 17_262_977
    assert trainable(archs.build(archs.new_card("unet", size=32, up="bilinear"))) == 17_262_977


def test_macs_of_the_classic_unet():
    """Each level's pixels times its kernels; a transposed 2x2 convolution of stride 2 multiplies each input pixel 4 times."""
    side, widths = 64, (64, 128, 256, 512, 1024)
    total, before = side**2 * 64, 3
    for level, width in enumerate(widths):
        pixels = (side >> level) ** 2
        total += pixels * 9 * (before * width + width * width)
        if level < 4:
            total += pixels * 9 * (2 * width * width + width * width) + pixels // 4 * 4 * 2 * width * width
        before = width
    assert macs(archs.build(archs.new_card("unet", size=side))) == total


def test_half_the_width_is_a_fourth_of_the_parameters():
    half = trainable(archs.build(archs.new_card("unet", size=32, wm=0.5)))
    assert half == pytest.approx(31_037_633 / 4, rel=0.01)


@pytest.mark.parametrize("encoder", KINDS)
@pytest.mark.parametrize(("up", "resize"), [("transpose", "half_pixel"), pytest.param("bilinear", "align_corners", marks=pytest.mark.slow)])
def test_every_encoder(encoder, up, resize):
    card = archs.new_card("unet", size=64, wm=0.25, encoder=encoder, up=up, resize=resize, channels=4, classes=2)
    assert archs.build(card).output_shape == (None, 64, 64, 2)
    assert archs.encoder_of(card) == encoder
    assert card.input == (CAFFE if encoder == "resnet50" else SYMMETRIC)


def test_the_plain_encoder_takes_no_pretrained_weights():
    card = archs.new_card("unet", size=32, wm=0.0625)
    assert archs.encoder_of(card) == ""
    assert card.input == SYMMETRIC


@pytest.mark.parametrize(
    ("encoder", "skips", "last", "widths"),
    [
        ("mobilenet_v4_conv_small", (96, 64, 32, 32), 960, (48, 32, 16, 16, 16)),
        ("mobilenet_v2", (576, 192, 144, 96), 320, (288, 96, 72, 48, 24)),
    ],
)
def test_the_decoder_on_an_encoder_counted_by_hand(encoder, skips, last, widths):
    """Each level: 2x2 up with bias, the skip beside it, two convolutions; half the skip's channels, 16 at the least."""
    image = keras.Input((32, 32, 3))
    expected = trainable(keras.Model(image, ENCODERS[encoder].features(image, wm=1.0)))
    channels = last
    for skip, width in zip((*skips, 0), widths, strict=True):
        expected += 4 * channels * width + width + double(width + skip, width, width)
        channels = width
    model = archs.build(archs.new_card("unet", size=32, encoder=encoder))
    assert trainable(model) == expected + channels + 1


# Transposed 3x3 and 3x3 convolution, both with bias and batch normalisation (scale and shift), four times.
def skipless(channels: int) -> int:
    total = 0
    for width in (96, 32, 24, 16):
        total += 9 * channels * width + width + 2 * width + 9 * width * width + width + 2 * width
        channels = width
    return total + 16 + 1


def test_mobilenet_v2_unet_has_the_published_count():
    """3.5 M is what its features, 2,223,872 parameters in torchvision, leave for the decoder: statistics are not counted there."""
    assert 2_223_872 + skipless(1280) == 3_468_481
    model = archs.build(archs.new_card("mobilenet_v2_unet", size=32))
    assert trainable(model) == 3_468_481
    norms = (2_257_984 - 2_223_872) // 2 + 2 * (96 + 32 + 24 + 16)  # with statistics the features have 2,257,984 in Keras
    assert model.count_params() == 3_468_481 + 2 * norms
    assert folded_params(model) == 3_468_481 - (2_257_984 - 2_223_872) // 2 - 2 * 2 * (96 + 32 + 24 + 16)


def test_mobilenet_v4_unet_pinned():
    """No count was published. Its features by the table of the paper, each convolution with scale and shift; then the decoder."""

    def unit(inputs: int, outputs: int, kernel: int, depthwise: bool = False) -> int:
        return kernel**2 * (outputs if depthwise else inputs * outputs) + 2 * outputs

    features = unit(3, 32, 3) + unit(32, 32, 3) + unit(32, 32, 1) + unit(32, 96, 3) + unit(96, 64, 1) + unit(128, 960, 1)
    rows = [(64, 5, 5, 192, 96), *[(96, 0, 3, 192, 96)] * 4, (96, 3, 0, 384, 96)]  # input, kernels, expanded, output
    rows += [(96, 3, 3, 576, 128), (128, 5, 5, 512, 128), (128, 0, 5, 512, 128), (128, 0, 5, 384, 128), *[(128, 0, 3, 512, 128)] * 2]
    for inputs, start, middle, expanded, outputs in rows:
        features += unit(inputs, inputs, start, depthwise=True) if start else 0
        features += unit(inputs, expanded, 1) + unit(expanded, outputs, 1)
        features += unit(expanded, expanded, middle, depthwise=True) if middle else 0
    assert features == 1_261_664
    assert features + skipless(960) == 2_229_793
    assert trainable(archs.build(archs.new_card("mobilenet_v4_unet", size=32))) == 2_229_793


@pytest.mark.parametrize(("arch", "millions"), [("mobilenet_v2_unet", 580), ("mobilenet_v4_unet", 411)])
def test_macs_of_the_skipless_nets(arch, millions):
    """Features as published at 224 (299.5 and 183.5 M), at 256 by the area; the decoder's pixels at 1/32 to 1/2 by hand."""
    features, channels = {"mobilenet_v2_unet": (299.494272e6, 1280), "mobilenet_v4_unet": (183.496768e6, 960)}[arch]
    total = features * (256 / 224) ** 2
    for side, width in zip((8, 16, 32, 64), (96, 32, 24, 16), strict=True):
        total += side**2 * 9 * channels * width + (2 * side) ** 2 * 9 * width * width
        channels = width
    total += 128**2 * 16
    assert round(total / 1e6) == millions
    assert macs(archs.build(archs.new_card(arch))) == total


@pytest.mark.parametrize("resize", ["half_pixel", "align_corners", "transpose"])
def test_the_last_doubling_is_the_chosen_one(resize):
    model = archs.build(archs.new_card("mobilenet_v2_unet", size=32, resize=resize))
    kinds = {"half_pixel": "UpSampling2D", "align_corners": "AlignCorners", "transpose": "BilinearTranspose"}
    assert type(model.get_layer("head_up")).__name__ == kinds[resize]
    assert model.get_layer("head_up").input_shape == (None, 16, 16, 1)
