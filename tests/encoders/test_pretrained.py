"""Pretrained weights: our encoders compute what keras.applications' do, once their weights are copied."""

import h5py
import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs
from portraitseg.encoders import pretrained
from portraitseg.errors import InputError

SIZE = 96


def application(encoder: str, wm: float) -> keras.Model:
    """A keras.applications model with random weights, batch-norm statistics included."""
    shape = (SIZE, SIZE, 3)
    if encoder == "mobilenet_v2":
        model = keras.applications.MobileNetV2(input_shape=shape, alpha=wm, weights=None, include_top=False)
    else:
        model = keras.applications.MobileNetV3Small(
            input_shape=shape, alpha=wm, minimalistic=True, weights=None, include_top=False, include_preprocessing=False
        )
    random = np.random.default_rng(3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.3, 1.0, value.shape) for value in layer.get_weights()])
    return model


CASES = [
    ("munet_mnv2", "mobilenet_v2", 0.5, "block_16_project_BN", "enc_block_16_project_BN", 102),
    ("munet_mnv2_transition", "mobilenet_v2", 0.35, "block_6_expand_relu", "enc_block_6_expand_relu", 102),
    ("munet_mnv3_transition", "mobilenet_v3_small", 1.0, "Conv_1/BatchNorm", "enc_Conv_1_BatchNorm", 68),
    ("munet_mnv3", "mobilenet_v3_small", 1.0, "Conv_1/BatchNorm", "enc_Conv_1_BatchNorm", 68),
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
    model = archs.build(archs.new_card("munet_mnv2", size=64))
    with pytest.raises(InputError, match=r"no pretrained weights|not a whole HDF5"):
        pretrained.load_pretrained(model, str(path), encoder="mobilenet_v2", wm=0.5)


def test_offline_says_where_the_file_goes(monkeypatch):
    def offline(**_):
        raise Exception("URL fetch failure on https://example.org: unreachable")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    model = archs.build(archs.new_card("munet_mnv2", size=64))
    with pytest.raises(InputError, match=r"put mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224_no_top.h5 into ~/.keras/models/"):
        pretrained.load_pretrained(model, "imagenet", encoder="mobilenet_v2", wm=0.5)
