"""Multiply-adds by hand, and stages of small nets whose rows are written down here."""

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs.summary import Source, macs, stages
from portraitseg.resizing import AlignCorners, BilinearTranspose, DepthwiseConv2DTranspose
from portraitseg.rewrite.deploy import folded_by_layer

# the layer, at 32x32x4, and its multiply-adds worked by hand
BY_HAND = {
    "conv": (lambda: layers.Conv2D(5, 3, padding="same"), 3 * 3 * 4 * 5 * 32 * 32),
    "strided": (lambda: layers.Conv2D(5, 3, 2, padding="same"), 3 * 3 * 4 * 5 * 16 * 16),
    "dilated": (lambda: layers.Conv2D(5, 3, dilation_rate=4, padding="same"), 3 * 3 * 4 * 5 * 32 * 32),
    "grouped": (lambda: layers.Conv2D(6, 3, groups=2, padding="same"), 2 * (3 * 3 * 2 * 3) * 32 * 32),
    "depthwise": (lambda: layers.DepthwiseConv2D(5, 2, padding="same", depth_multiplier=2), 5 * 5 * 4 * 2 * 16 * 16),
    "separable": (lambda: layers.SeparableConv2D(7, 3, padding="same"), (3 * 3 * 4 + 4 * 7) * 32 * 32),
    "transposed": (lambda: layers.Conv2DTranspose(5, 3, 2, padding="same"), 3 * 3 * 4 * 5 * 32 * 32),
    "transposed by channel": (lambda: DepthwiseConv2DTranspose(), 4 * 4 * 4 * 4 * 32 * 32),
    "fixed transposed x4": (lambda: BilinearTranspose(4), 8 * 8 * 4 * 4 * 32 * 32),
    "resize": (lambda: layers.UpSampling2D(2, interpolation="bilinear"), 0),
    "align corners": (lambda: AlignCorners(2), 0),
    "normalisation": (lambda: layers.BatchNormalization(), 0),
}


@pytest.mark.parametrize("kind", BY_HAND)
def test_multiply_adds_of_one_layer(kind):
    make, count = BY_HAND[kind]
    image = keras.Input((32, 32, 4))
    assert macs(keras.Model(image, make()(image))) == count


def test_training_only_heads_are_not_counted():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="enc_conv")(image)
    side = layers.Conv2D(1, 3, name="head_side_conv")(x)
    model = keras.Model(image, [layers.Conv2D(1, 1, name="logits")(x), side])
    assert macs(model) == (3 * 4 + 4 * 1) * 64
    assert [stage.name for stage in stages(model)] == ["image" if image.name.startswith("image") else "input", "enc", "head"]


def unet_of_two_levels() -> keras.Model:
    image = keras.Input((16, 32, 3), name="image")
    x = layers.ZeroPadding2D(1, name="enc_pad")(image)
    x = layers.Conv2D(4, 3, 2, use_bias=False, name="enc_conv1")(x)
    skip = layers.BatchNormalization(name="enc_bn1")(x)  # 1/2
    x = layers.MaxPooling2D(2, name="enc_pool")(skip)
    x = layers.Conv2D(6, 3, padding="same", dilation_rate=2, name="enc_conv2")(x)
    x = layers.Conv2D(6, 1, name="enc_conv3")(layers.ReLU(name="enc_relu")(x))  # 1/4
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="enc_mean")(x)
    gate = layers.Conv2D(6, 1, name="enc_gate")(gate)
    x = layers.Multiply(name="enc_multiply")([x, gate])
    x = layers.DepthwiseConv2D(3, padding="same", name="dec1_dw")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="dec1_up")(x)
    x = layers.Concatenate(name="dec1_concat")([x, skip])  # 1/2
    x = layers.ReLU(name="dec0_relu")(x)
    x = layers.Conv2DTranspose(2, 2, 2, name="dec0_up")(x)  # 1/1
    side = layers.Conv2D(1, 1, name="head_side")(layers.MaxPooling2D(2, name="head_pool")(x))
    side = layers.UpSampling2D(2, name="head_up")(side)
    x = layers.Conv2D(1, 1, name="head_conv")(layers.Concatenate(name="head_concat")([x, side]))
    return keras.Model(image, layers.Activation("linear", name="logits")(x))


def test_rows_of_a_small_net():
    rows = {stage.name: stage for stage in stages(unet_of_two_levels())}
    assert [(name, stage.size, stage.channels) for name, stage in rows.items()] == [
        ("image", (16, 32), 3),
        ("enc 1/2", (8, 16), 4),
        ("enc 1/4", (4, 8), 6),  # the gate of one pixel belongs to the map that it weighs
        ("dec1 1/4", (4, 8), 6),
        ("dec1 1/2", (8, 16), 10),
        ("dec0", (16, 32), 2),  # its lone activation at 1/2 is no stage of its own
        ("head", (16, 32), 1),
    ]
    assert rows["enc 1/2"].ops == ("conv 3x3 /2",)
    assert rows["enc 1/4"].ops == ("max pool /2", "conv 3x3 d2", "2 conv 1x1", "mean", "multiply")
    assert rows["dec1 1/2"].ops == ("bilinear x2", "concat")
    assert rows["dec0"].ops == ("deconv 2x2 x2",)
    assert rows["enc 1/2"].sources == (Source(stage="image", channels=3),)
    assert rows["dec1 1/2"].sources == (Source(stage="enc 1/2", channels=4), Source(stage="dec1 1/4", channels=6))
    assert rows["enc 1/2"].params == 27 * 4 + 4 * 4
    assert rows["enc 1/2"].macs == 27 * 4 * 8 * 16
    assert rows["enc 1/4"].macs == (9 * 4 * 6 + 36) * 32 + 36
    assert rows["dec0"].macs == 4 * 10 * 2 * 8 * 16


def test_a_u_within_the_u_is_one_stage():
    image = keras.Input((16, 16, 3), name="image")
    skip = layers.Conv2D(4, 3, padding="same", name="enc_1_conv1")(image)
    x = layers.Conv2D(4, 3, padding="same", name="enc_1_conv2")(layers.MaxPooling2D(2, name="enc_1_pool")(skip))
    x = layers.Add(name="enc_1_add")([layers.UpSampling2D(2, interpolation="bilinear", name="enc_1_up")(x), skip])
    x = layers.Conv2D(8, 3, 2, padding="same", name="enc_2_conv")(x)
    rows = stages(keras.Model(image, layers.Conv2D(1, 1, name="logits")(x)))
    assert [(stage.name, stage.size, stage.channels) for stage in rows] == [
        ("image", (16, 16), 3),
        ("enc_1", (16, 16), 4),
        ("enc_2", (8, 8), 8),
        ("head", (8, 8), 1),
    ]
    assert rows[1].ops == ("2 conv 3x3", "max pool /2", "bilinear x2", "add")


def test_gates_at_several_resolutions_do_not_make_one_stage_of_them():
    x = image = keras.Input((16, 16, 3), name="image")
    for level in (1, 2):
        x = layers.Conv2D(4, 3, 2, padding="same", name=f"enc_conv_{level}")(x)
        gate = layers.Conv2D(4, 1, name=f"enc_gate_{level}")(layers.GlobalAveragePooling2D(keepdims=True, name=f"enc_mean_{level}")(x))
        x = layers.Multiply(name=f"enc_multiply_{level}")([x, gate])
    rows = stages(keras.Model(image, layers.Conv2D(1, 1, name="logits")(x)))
    assert [stage.name for stage in rows] == ["image", "enc 1/2", "enc 1/4", "head"]
    assert rows[1].ops == rows[2].ops == ("conv 3x3 /2", "mean", "conv 1x1", "multiply")


def test_munet_reads_like_its_originals_table():
    """Mobile-UNet at 128: decoder widths behind each concatenation, and the encoder's tensors that are concatenated."""
    model = archs.build(archs.new_card("munet_mnv2"))
    rows = {stage.name: stage for stage in stages(model, folded_by_layer(model))}
    table = {"dec4": (8, 800, 288), "dec3": (16, 352, 96), "dec2": (32, 224, 96), "dec1": (64, 112, 48)}
    for name, (side, channels, skip) in table.items():
        assert (rows[name].size, rows[name].channels) == ((side, side), channels)
        assert rows[name].ops == ("deconv 3x3 x2", "concat")
        assert rows[name].sources[0].channels == skip
    assert (rows["enc 1/32"].size, rows["enc 1/32"].channels) == ((4, 4), 160)
    assert sum(stage.params for stage in rows.values()) == 3_620_617
    assert round(sum(stage.macs for stage in rows.values()) / 1e6) == 526


def test_every_parameter_and_mac_is_in_a_row():
    model = unet_of_two_levels()
    rows = stages(model)
    assert sum(stage.params for stage in rows) == model.count_params() == sum(int(np.prod(w.shape)) for w in model.weights)
    assert sum(stage.macs for stage in rows) == macs(model) > 0
