"""portrait_nano: counted by hand, and what its description says of it."""

import pytest
from tf_keras import layers

from portraitseg import archs
from portraitseg.rewrite.deploy import folded_params


def conv(kernel: int, taken: int, given: int) -> int:
    return kernel**2 * taken * given + given


def bottleneck(channels: int, expansion: int, kernel: int) -> int:
    wide = expansion * channels
    return kernel**2 * channels + channels + conv(1, channels, wide) + conv(1, wide, channels)


def by_hand(
    quarter: int, eighth: tuple[int, int, int], sixteenth: tuple[int, int, int], last: tuple[int, int], up: tuple[int, int, int]
) -> int:
    """Channels at 1/4; channels, expansion and blocks at 1/8 and 1/16; channels and blocks at 1/32; channels on the way up."""
    total = conv(3, 3, 16) + conv(3, 16, quarter) + conv(3, quarter, quarter)
    total += conv(3, quarter, eighth[0]) + eighth[2] * bottleneck(eighth[0], eighth[1], 3)
    total += conv(3, eighth[0], sixteenth[0]) + sixteenth[2] * bottleneck(sixteenth[0], sixteenth[1], 3)
    total += conv(3, sixteenth[0], last[0]) + last[1] * bottleneck(last[0], 2, 5) + conv(1, last[0], last[0])
    below = last[0]
    for skip, channels in zip((sixteenth[0], eighth[0], quarter), up, strict=True):
        refine = bottleneck(channels, 2, 3) if channels > 32 else conv(3, channels, channels)
        total += conv(1, below, channels) + conv(1, skip, channels) + refine
        below = channels
    return total + conv(2, below, 16) + conv(3, 16, 16) + conv(2, 16, 1)


@pytest.mark.parametrize(
    ("arch", "count"),
    [
        ("portrait_nano_s", by_hand(16, (32, 2, 2), (64, 2, 3), (128, 2), (48, 32, 16))),
        ("portrait_nano_m", by_hand(32, (64, 2, 2), (96, 2, 2), (160, 3), (64, 48, 32))),
        ("portrait_nano_l", by_hand(32, (64, 3, 3), (128, 3, 4), (192, 4), (96, 64, 32))),
    ],
)
def test_parameters_counted_by_hand(arch, count):
    assert folded_params(archs.build(archs.new_card(arch, size=64))) == count


def test_its_encoder_can_be_frozen_and_the_side_output_is_left_out():
    model = archs.build(archs.new_card("portrait_nano_s", size=64))
    assert model.output_names == ["logits", "side"]
    trunk = archs.logits_model(model)
    assert not [layer.name for layer in trunk.layers if layer.name.startswith("dec3_side")]
    at_least_one_sixteenth = [layer.name for layer in trunk.layers if layer.name.startswith("enc_") and layer.output_shape[1] == 2]
    assert "enc_5_context_add" in at_least_one_sixteenth


def test_nothing_but_what_runs_in_one_piece():
    """Convolutions, ReLU6 behind them or behind a sum, additions, one mean, and no resize of the mask."""
    trunk = archs.logits_model(archs.build(archs.new_card("portrait_nano_m", size=64)))
    kinds = {type(layer).__name__ for layer in trunk.layers} - {"InputLayer", "BatchNormalization", "Activation"}
    assert kinds == {"Conv2D", "DepthwiseConv2D", "Conv2DTranspose", "ReLU", "Add", "GlobalAveragePooling2D", "UpSampling2D"}
    resized = [layer for layer in trunk.layers if isinstance(layer, layers.UpSampling2D)]
    assert [layer.output_shape[1] for layer in resized] == [4, 8, 16]  # of 64
