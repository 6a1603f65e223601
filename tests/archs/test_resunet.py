"""The residual U-Net on ResNet50 against its original's count and shape."""

import cv2
import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs
from portraitseg.archs.summary import macs
from portraitseg.card import CAFFE


@pytest.fixture(scope="module")
def model():
    """At a width of 1/8, so that it is quick."""
    keras.utils.set_random_seed(0)
    return archs.build(archs.new_card("resunet", size=64, wm=0.125))


def conv_bn(kernel, inputs, outputs):
    """Kernel, bias and the four vectors of the batch normalisation."""
    return kernel * kernel * inputs * outputs + 5 * outputs


@pytest.mark.slow  # the list of all nets (tests/cli/test_archs.py) has this count too
def test_training_parameters_are_the_published_ones():
    """53,539,588 counts the statistics of the batch normalisation; ResNet50 up to conv4 is counted by keras.applications."""
    encoder = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3))
    encoder = keras.Model(encoder.input, encoder.get_layer("conv4_block6_out").output).count_params()
    bridge = 3 * conv_bn(3, 1024, 1024) + conv_bn(1, 3 * 1024, 1024)
    decoder = 0
    for inputs, outputs in ((1024 + 512, 512), (512 + 256, 256), (256 + 64, 128), (128 + 3, 64)):
        decoder += conv_bn(3, inputs, outputs) + conv_bn(3, outputs, outputs) + conv_bn(1, inputs, outputs)
    heads = 512 + 1 + 256 + 1 + 128 + 1 + 64 + 1
    assert encoder + bridge + decoder + heads == 53_539_588
    assert archs.build(archs.new_card("resunet", size=64)).count_params() == 53_539_588


def test_bridge_dilations_and_resolution(model):
    for dilation in (3, 6, 9):
        layer = model.get_layer(f"dec4_dilated{dilation}")
        assert layer.dilation_rate == (dilation, dilation)
        assert layer.kernel.shape == (3, 3, 128, 128)
        assert layer.input.shape[1:3] == (4, 4)  # 1/16
    assert model.get_layer("dec4_mix").kernel.shape == (1, 1, 3 * 128, 128)


def test_skips(model):
    """Each block reads the map below, doubled, and the encoder's at its resolution; the last one the picture itself."""
    shapes = [[tuple(x.shape[1:]) for x in model.get_layer(f"dec{level}_concat").input] for level in (3, 2, 1, 0)]
    assert shapes == [
        [(8, 8, 128), (8, 8, 64)],
        [(16, 16, 64), (16, 16, 32)],
        [(32, 32, 32), (32, 32, 8)],
        [(64, 64, 16), (64, 64, 3)],
    ]
    assert model.get_layer("dec0_concat").input[1] is model.input


def test_one_layers_macs(model):
    """The bridge's mixing convolution: 384 -> 128 channels at 4x4 places."""
    before, after = (keras.Model(model.input, model.get_layer(name).output) for name in ("dec4_concat", "dec4_mix"))
    assert macs(after) - macs(before) == 384 * 128 * 4 * 4 == 786_432


def test_side_outputs_are_a_1x1_convolution_of_the_enlarged_map(model):
    """Ours convolves before it enlarges; here in the original's order, with OpenCV's resize."""
    assert model.output_names == ["logits", "side1", "side2", "side3"]
    features = keras.Model(model.input, [model.get_layer("dec3_relu").output, model.get_layer("side3").output])
    deep, side = features(np.random.default_rng(0).normal(0, 50, (1, 64, 64, 3)).astype(np.float32))
    enlarged = cv2.resize(deep.numpy()[0], (64, 64), interpolation=cv2.INTER_LINEAR)
    kernel, bias = model.get_layer("head_side3_conv").get_weights()
    wanted = enlarged @ kernel[0, 0] + bias
    assert wanted.std() > 0
    np.testing.assert_allclose(side[0], wanted, atol=1e-4 * np.abs(wanted).max())


def test_side_outputs_do_not_ship(model):
    dropped = {layer.name for layer in model.layers} - {layer.name for layer in archs.logits_model(model).layers}
    assert dropped == {f"{name}" for level in (1, 2, 3) for name in (f"head_side{level}_conv", f"head_side{level}_up", f"side{level}")}


def test_the_encoder_is_resnet50_up_to_conv4_and_fed_for_its_weights(model):
    card = archs.new_card("resunet")
    assert card.input == CAFFE
    assert archs.encoder_of(card) == "resnet50"
    blocks = {layer.name.split("_")[1] for layer in model.layers if layer.name.startswith("enc_conv")}
    assert blocks == {"conv1", "conv2", "conv3", "conv4"}
