"""Pretrained weights: our encoders compute what keras.applications' do, once their weights are copied."""

import h5py
import numpy as np
import pytest
import tf_keras as keras
from tf_keras.src.utils import data_utils

from portraitseg import archs
from portraitseg.encoders import ENCODERS, pretrained
from portraitseg.errors import InputError
from portraitseg.image import to_input

SIZE = 96
APPLICATIONS = {
    "mobilenet_v2": ("MobileNetV2", {}),
    "mobilenet_v3_small": ("MobileNetV3Small", {"minimalistic": True, "include_preprocessing": False}),
    "mobilenet_v3_small_thin": ("MobileNetV3Small", {"minimalistic": True, "include_preprocessing": False}),
    "mobilenet_v3_small_full": ("MobileNetV3Small", {"minimalistic": False, "include_preprocessing": False}),
    "mobilenet_v3_large": ("MobileNetV3Large", {"minimalistic": True, "include_preprocessing": False}),
    "mobilenet_v3_large_full": ("MobileNetV3Large", {"minimalistic": False, "include_preprocessing": False}),
    "resnet50": ("ResNet50", {}),
}


def application(encoder: str, wm: float, size: int = SIZE) -> keras.Model:
    """A keras.applications model with random weights, batch-norm statistics included."""
    name, arguments = APPLICATIONS[encoder]
    if encoder != "resnet50":
        arguments = {**arguments, "alpha": wm}
    model = getattr(keras.applications, name)(input_shape=(size, size, 3), weights=None, include_top=False, **arguments)
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.3, 1.0, value.shape) for value in layer.get_weights()])
    return model


CASES = [
    ("munet_mnv2", "mobilenet_v2", 0.5, "block_16_project_BN", "enc_block_16_project_BN", 102),
    ("munet_mnv2_transition", "mobilenet_v2", 0.35, "block_6_expand_relu", "enc_block_6_expand_relu", 102),
    ("munet_mnv3_transition", "mobilenet_v3_small", 1.0, "Conv_1/BatchNorm", "enc_Conv_1_BatchNorm", 68),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (
            ("munet_mnv3", "mobilenet_v3_small", 1.0, "Conv_1/BatchNorm", "enc_Conv_1_BatchNorm", 68),
            ("mobilenet_v2_unet", "mobilenet_v2", 1.0, "out_relu", "enc_out_relu", 104),
        )
    ),
]


@pytest.mark.parametrize(("arch", "encoder", "wm", "theirs", "ours", "count"), CASES)
def test_features_equal_keras_applications(arch, encoder, wm, theirs, ours, count):
    source = application(encoder, wm)
    model = archs.build(archs.new_card(arch, wm=wm, size=SIZE))
    assert pretrained.copy_weights(model, pretrained.application_weights(source), origin="test") == count
    x = np.random.default_rng(1).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    expected = keras.Model(source.input, source.get_layer(theirs).output)(x).numpy()
    found = keras.Model(model.input, model.get_layer(ours).output)(x).numpy()
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-5)


def taps_of(encoder, source):
    """The application's features at 1/2 to 1/32; of the MobileNets, what enters the layer that pads for a stride."""
    if encoder == "mobilenet_v2":
        return [*(source.get_layer(f"block_{n}_pad").input for n in (1, 3, 6, 13)), source.get_layer("block_16_project_BN").output]
    if encoder.startswith("mobilenet_v3"):
        blocks = ("_1", "_3", "_6", "_12") if "large" in encoder else ("", "_1", "_3", "_8")
        return [*(source.get_layer(f"expanded_conv{block}/depthwise/pad").input for block in blocks), source.output]
    names = ("conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
    return [source.get_layer(name).output for name in names]


@pytest.mark.parametrize(
    ("encoder", "wm", "size"),
    [
        ("mobilenet_v2", 1.4, 64),
        ("mobilenet_v3_small", 0.75, 96),
        pytest.param("mobilenet_v3_small_full", 1.0, 96, marks=pytest.mark.slow),
        ("mobilenet_v3_small_full", 0.75, 64),
        pytest.param("mobilenet_v3_large", 1.0, 64, marks=pytest.mark.slow),
        pytest.param("mobilenet_v3_large_full", 0.75, 64, marks=pytest.mark.slow),
        pytest.param("resnet50", 1.0, 64, marks=pytest.mark.slow),
    ],
)
def test_every_tap_equals_keras_applications(encoder, wm, size):
    source = application(encoder, wm, size)
    image = keras.Input((size, size, 3))
    model = keras.Model(image, ENCODERS[encoder].features(image, wm=wm))
    filled = pretrained.copy_weights(model, pretrained.application_weights(source), origin="test")
    top = {"Conv_1", "Conv_1_bn"} if encoder == "mobilenet_v2" else set()
    assert filled == len([layer for layer in source.layers if layer.weights and layer.name not in top])
    x = np.random.default_rng(1).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    for expected, found in zip(keras.Model(source.input, taps_of(encoder, source))(x), model(x), strict=True):
        assert np.std(expected) > 0.05
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_file_of_keras_layer_names(tmp_path):
    source = application("mobilenet_v2", 0.35)
    source.save_weights(tmp_path / "weights.h5")
    model = archs.build(archs.new_card("munet_mnv2_transition", size=64))
    assert pretrained.load_pretrained(model, str(tmp_path / "weights.h5"), encoder="mobilenet_v2", wm=0.35) == 102
    kernel = source.get_layer("block_12_project").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("enc_block_12_project").get_weights()[0], kernel)


def test_file_of_slashed_layer_names(tmp_path):
    source = application("mobilenet_v3_small", 1.0)
    source.save_weights(tmp_path / "weights.h5")
    model = archs.build(archs.new_card("munet_mnv3_transition", size=64))
    assert pretrained.load_pretrained(model, str(tmp_path / "weights.h5"), encoder="mobilenet_v3_small", wm=1.0) == 68
    gamma = source.get_layer("expanded_conv_3/expand/BatchNorm").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("enc_expanded_conv_3_expand_BatchNorm").get_weights()[0], gamma)


def test_another_width_is_refused_and_changes_nothing(tmp_path):
    application("mobilenet_v2", 0.5).save_weights(tmp_path / "weights.h5")
    model = archs.build(archs.new_card("munet_mnv2_transition", size=64))
    before = model.get_weights()
    with pytest.raises(InputError, match=r"has shape .* is needed.*same --wm"):
        pretrained.load_pretrained(model, str(tmp_path / "weights.h5"), encoder="mobilenet_v2", wm=0.35)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_file_without_the_layers_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["dense/kernel:0"] = np.zeros((2, 2))
    model = archs.build(archs.new_card("munet_mnv2", size=64))
    with pytest.raises(InputError, match="Conv1/kernel is missing"):
        pretrained.load_pretrained(model, str(tmp_path / "other.h5"), encoder="mobilenet_v2", wm=0.5)


@pytest.mark.parametrize("content", [None, b"not HDF5"])
def test_missing_or_broken_file(tmp_path, content):
    path = tmp_path / "weights.h5"
    if content:
        path.write_bytes(content)
    model = keras.Sequential(name="net")
    with pytest.raises(InputError, match=r"no pretrained weights|not a whole HDF5"):
        pretrained.load_pretrained(model, str(path), encoder="mobilenet_v2", wm=0.5)


@pytest.mark.parametrize(
    ("encoder", "wm"),
    [
        ("mobilenet_v2", 0.5),
        ("mobilenet_v3_small_full", 0.75),
        ("resnet50", 1.0),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("mobilenet_v2", 1.4),
                ("mobilenet_v3_small", 1.0),
                ("mobilenet_v3_small_thin", 1.0),
                ("mobilenet_v3_large", 1.0),
                ("mobilenet_v3_large_full", 0.75),
            )
        ),
    ],
)
def test_offline_says_which_file_goes_where(monkeypatch, encoder, wm):
    asked = []

    def offline(name, *_, **__):
        asked.append(name)
        raise Exception("URL fetch failure on https://example.org: unreachable")

    monkeypatch.setattr(data_utils, "get_file", offline)
    model = keras.Sequential(name="net")
    with pytest.raises(InputError, match="could not be downloaded") as error:
        pretrained.load_pretrained(model, "imagenet", encoder=encoder, wm=wm)
    assert f"put {asked[0]} into ~/.keras/models/" in str(error.value)


@pytest.mark.parametrize(("encoder", "wm"), [("mobilenet_v2", 0.35), pytest.param("mobilenet_v3_small_full", 1.0, marks=pytest.mark.slow)])
def test_imagenet_weights_reach_the_encoder_of_munet(monkeypatch, tmp_path, encoder, wm):
    source = application(encoder, wm)
    source.save_weights(tmp_path / "fetched.h5")
    monkeypatch.setattr(data_utils, "get_file", lambda *_, **__: str(tmp_path / "fetched.h5"))
    card = archs.new_card("munet", encoder=encoder, wm=wm, size=SIZE)
    model = archs.build(card)
    pretrained.load_pretrained(model, "imagenet", encoder=archs.encoder_of(card), wm=wm)
    x = np.random.default_rng(1).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    found = keras.Model(model.input, model.get_layer(ENCODERS[encoder].taps[-1]).output)(x)
    np.testing.assert_allclose(found, keras.Model(source.input, taps_of(encoder, source)[3])(x), atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "wm", "message"),
    [
        ("resnet50", 0.5, r"no ImageNet weights for resnet50 at wm 0.5: .*--wm 1"),
        ("mobilenet_v3_large", 0.75, r"no ImageNet weights for mobilenet_v3_large at wm 0.75: .*1.0. for minimalistic only"),
        ("mobilenet_v4_conv_small", 1.0, "keras.applications has no mobilenet_v4_conv_small; give a file"),
        ("", 1.0, "net has no encoder that there are pretrained weights of; leave --pretrained out"),
    ],
)
def test_weights_that_do_not_exist_are_refused(encoder, wm, message):
    model = keras.Sequential(name="net")
    with pytest.raises(InputError, match=message):
        pretrained.load_pretrained(model, "imagenet", encoder=encoder, wm=wm)


@pytest.mark.parametrize(("encoder", "wm", "stem"), [("mobilenet_v2", 0.35, "Conv1"), ("mobilenet_v3_small", 1.0, "Conv")])
def test_of_the_fourth_channel_the_weights_start_at_zero(encoder, wm, stem):
    source = application(encoder, wm, 32)
    image = keras.Input((32, 32, 4))
    model = keras.Model(image, ENCODERS[encoder].features(image, wm=wm)[0])
    pretrained.copy_weights(model, pretrained.application_weights(source), origin="test")
    kernel = model.get_layer(f"enc_{stem}").get_weights()[0]
    np.testing.assert_array_equal(kernel[:, :, :3], source.get_layer(stem).get_weights()[0])
    assert kernel.shape[2] == 4
    assert not kernel[:, :, 3].any()
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    prior = random.uniform(0, 1, (1, 32, 32, 1)).astype(np.float32)
    expected = keras.Model(source.input, taps_of(encoder, source)[0])(x).numpy()
    np.testing.assert_allclose(model(np.concatenate([x, prior], axis=-1)), expected, rtol=1e-4, atol=1e-5)


def test_only_the_stem_is_widened():
    """A kernel of three inputs where four are needed does not fit elsewhere."""
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="enc_a")(image)
    model = keras.Model(image, keras.layers.Conv2D(2, 1, use_bias=False, name="enc_b")(x))
    source = {"a/kernel": np.zeros((3, 3, 3, 4)), "b/kernel": np.zeros((1, 1, 3, 2))}
    with pytest.raises(InputError, match=r"b/kernel has shape \(1, 1, 3, 2\), \(1, 1, 4, 2\) is needed"):
        pretrained.copy_weights(model, source, origin="test")


def test_an_expansion_that_no_file_has_starts_as_the_identity():
    source = application("mobilenet_v2", 0.5)
    model = archs.build(archs.new_card("portrait_net", wm=0.5, size=SIZE))
    filled = pretrained.copy_weights(model, pretrained.application_weights(source), origin="test")
    assert filled == 102 + 2
    x = np.random.default_rng(1).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    names = ("enc_Conv1_relu", "enc_expanded_conv_expand_relu")
    before, after = keras.Model(model.input, [model.get_layer(name).output for name in names])(x)
    assert np.std(before) > 0.05
    np.testing.assert_allclose(after, before, rtol=1e-3)


def test_imagenet_weights_reach_portrait_net_whose_pictures_are_bgr(monkeypatch, tmp_path):
    source = application("mobilenet_v2", 0.35, 64)
    source.save_weights(tmp_path / "fetched.h5")
    monkeypatch.setattr(data_utils, "get_file", lambda *_, **__: str(tmp_path / "fetched.h5"))
    card = archs.new_card("portrait_net", wm=0.35, size=64)
    model = archs.build(card)
    pretrained.load_pretrained(model, "imagenet", encoder=archs.encoder_of(card), wm=0.35, fed=card.input)
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    found = keras.Model(model.input, model.get_layer("enc_bn_Conv1").output)(to_input(picture, card)[None])
    expected = keras.Model(source.input, source.get_layer("bn_Conv1").output)((picture[None] / 127.5 - 1).astype(np.float32))
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(found[:, :-1, :-1], expected[:, :-1, :-1], atol=1e-4)  # at the rim zeros stand for another colour
