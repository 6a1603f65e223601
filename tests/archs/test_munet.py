"""munet: the published decoders on any encoder."""

import pytest

from portraitseg import archs
from portraitseg.archs.summary import macs
from portraitseg.card import CAFFE, SYMMETRIC
from portraitseg.encoders import ENCODERS
from portraitseg.rewrite.deploy import folded_params

KINDS = [name if name.startswith("mobilenet_v3") else pytest.param(name, marks=pytest.mark.slow) for name in ENCODERS]
"""The encoders; test_unet.py has the others each time."""


@pytest.mark.parametrize("encoder", KINDS)
@pytest.mark.parametrize(
    ("decoder", "resize"), [("transition", "transpose"), pytest.param("bilinear", "align_corners", marks=pytest.mark.slow)]
)
def test_every_encoder(encoder, decoder, resize):
    card = archs.new_card("munet", size=64, wm=0.25, encoder=encoder, decoder=decoder, resize=resize, channels=4)
    assert archs.build(card).output_shape == (None, 64, 64, 1)
    assert archs.encoder_of(card) == encoder
    assert card.input == (CAFFE if encoder == "resnet50" else SYMMETRIC)


@pytest.mark.parametrize(
    ("encoder", "decoder", "training", "folded"),
    [
        # the encoders of two published nets with their decoders: the published counts
        ("mobilenet_v3_small_thin", "deconv", 2_578_449, 2_552_241),
        ("mobilenet_v3_small_thin", "bilinear", 2_578_449, 2_552_241),
        ("mobilenet_v3_small", "transition", 969_970 - 17, 940_122 - 17),  # one output channel instead of two
    ],
)
def test_counts_where_the_combination_was_published(encoder, decoder, training, folded):
    model = archs.build(archs.new_card("munet", size=64, encoder=encoder, decoder=decoder))
    assert model.count_params() == training
    assert folded_params(model) == folded


def test_macs_of_the_published_combination():
    model = archs.build(archs.new_card("munet", size=224, encoder="mobilenet_v3_small_thin", decoder="deconv"))
    assert round(macs(model) / 1e6) == 550


def test_the_bilinear_decoder_on_resnet50_counted_by_hand():
    """Encoder: 23,587,712 in Keras's list, of which 2 x 26,560 are statistics and 2 x 26,560 scales and shifts that fold away."""
    skips = (1024, 512, 256, 64, 0)
    channels, decoder = 2048, 0
    for width, skip in zip((256, 128, 64, 32, 16), skips, strict=True):
        decoder += 9 * channels * width + width
        channels = width + skip
    model = archs.build(archs.new_card("munet", size=32, encoder="resnet50", decoder="bilinear"))
    assert folded_params(model) == (23_587_712 - 4 * 26_560) + decoder + (16 + 1)
