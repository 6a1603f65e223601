"""A run that starts from an encoder whose batch normalisation is folded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint, tflite_metadata
from portraitseg.card import EMBEDDED, UNIT, Card
from portraitseg.data.sources import open_data
from portraitseg.errors import InputError
from portraitseg.export import tflite
from portraitseg.rewrite import deploy
from portraitseg.training.config import TrainConfig
from portraitseg.training.trainer import Trainer
from tests import tiny

SHOWN = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
KERNEL = np.random.default_rng(1).normal(0, 0.3, (3, 3, 3, 8)).astype(np.float32)
BIAS = np.linspace(-1, 1, 8).astype(np.float32)


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch):
    monkeypatch.setitem(archs.ARCHS, "tiny", tiny.SPEC)


@pytest.fixture
def dataset(tmp_path):
    return open_data(tiny.write_discs(tmp_path / "data", train=16, val=2), None, seed=0)


@pytest.fixture
def file(tmp_path) -> Path:
    """The tiny net's encoder, folded."""

    @tf.function(input_signature=[tf.TensorSpec((1, 32, 32, 3), tf.float32)])
    def net(x):
        return tf.nn.relu(tf.nn.conv2d(x, KERNEL, 2, "SAME") + BIAS)

    path = tmp_path / "folded.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()]).convert())
    return path


def trainer(dataset, folder: Path, **changes) -> Trainer:
    return Trainer(TrainConfig(**{"arch": "tiny", "epochs": 1, "batch": 4, **changes}), dataset, folder)


def features(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Of the encoder, without the rim, where the padding's colour counts."""
    return keras.Model(model.input, model.get_layer("enc_relu").output)(x).numpy()[:, :-1, :-1]


def expected(x: np.ndarray) -> np.ndarray:
    return np.maximum(tf.nn.conv2d(x, KERNEL, 2, "SAME") + BIAS, 0)[:, :-1, :-1]


def test_a_run_starts_with_the_features_of_the_file_and_statistics_of_its_own_pictures(tmp_path, dataset, file):
    started = trainer(dataset, tmp_path / "run", pretrained=str(file))
    x = (SHOWN / 127.5 - 1).astype(np.float32)
    np.testing.assert_allclose(features(started.model, x), expected(x), atol=1e-4)
    batches = [batch["x"] for batch in started._batches()]
    given = keras.Model(started.model.input, started.model.get_layer("enc_bn").input)(np.concatenate(batches)).numpy()
    np.testing.assert_allclose(started.model.get_layer("enc_bn").moving_mean, given.mean((0, 1, 2)), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(started.model.get_layer("enc_bn").moving_variance, given.var((0, 1, 2)), rtol=1e-3, atol=1e-4)
    again = trainer(dataset, tmp_path / "again", pretrained=str(file))
    assert all(np.array_equal(a, b) for a, b in zip(started.model.get_weights(), again.model.get_weights(), strict=True))


@pytest.mark.parametrize("told", ["by the flag", "by the file's card"])
def test_a_file_that_was_trained_in_another_range_sees_what_it_saw(tmp_path, dataset, file, told):
    if told == "by the file's card":
        card = Card(arch="tiny", wm=1.0, size=(32, 32), input=UNIT)
        file.write_bytes(tflite_metadata.add(file.read_bytes(), {EMBEDDED: card.embedded()}))
    started = trainer(dataset, tmp_path / "run", pretrained=str(file), pretrained_range="0..1" if told == "by the flag" else None)
    found = features(started.model, (SHOWN / 127.5 - 1).astype(np.float32))
    np.testing.assert_allclose(found, expected((SHOWN / 255).astype(np.float32)), atol=1e-4)


@pytest.mark.slow
def test_a_resumed_run_goes_on_with_its_own_weights(tmp_path, dataset, file):
    first = trainer(dataset, tmp_path / "run", pretrained=str(file), samples=4)
    first.fit()
    file.unlink()
    second = Trainer(first.config, dataset, tmp_path / "run", resume=True)
    assert all(np.array_equal(a, b) for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True))


def test_a_narrower_net_starts_at_another_size_and_with_a_prior_from_a_wider_one(tmp_path, dataset, capsys):
    wide = archs.build(card := archs.new_card("munet_mnv3", wm=0.5, size=32))
    checkpoint.save(wide, card, tmp_path / "wide.h5")
    started = trainer(dataset, tmp_path / "run", arch="munet_mnv3", wm=0.25, size=64, channels=4, init=tmp_path / "wide.h5")
    assert "5 bottlenecks are narrower" in capsys.readouterr().out
    seen = [layer for layer in started.model.layers if layer.name == "enc_expanded_conv_1_expand"]
    assert seen[0].kernel.shape == (1, 1, 4, 72)
    values = np.linalg.svd(wide.get_layer("enc_expanded_conv_1_expand").kernel[0, 0], compute_uv=False)
    assert np.linalg.norm(seen[0].kernel) <= np.linalg.norm(values) * (1 + 1e-5)  # a projection of the wide one's


def test_a_range_without_weights_is_refused(tmp_path, dataset):
    with pytest.raises(InputError, match="--pretrained-range says how the weights of --pretrained, or of an --init that is no checkpoint"):
        trainer(dataset, tmp_path / "run", pretrained_range="0..1")


def test_a_run_starts_as_a_whole_net_from_elsewhere_made_less_sure(tmp_path, dataset, capsys):
    keras.utils.set_random_seed(5)
    source = archs.build(archs.new_card("tiny"))
    head = source.get_layer("head_conv")
    head.set_weights([1000 * weight for weight in head.get_weights()])
    spec = tf.TensorSpec((1, 32, 32, 3), tf.float32)
    function = tf.function(lambda x: source(x, training=False), input_signature=[spec]).get_concrete_function()
    path = tmp_path / "theirs.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], source).convert())
    started = trainer(dataset, tmp_path / "run", init=path)
    assert "all there are" in capsys.readouterr().out
    x = (SHOWN / 127.5 - 1).astype(np.float32)
    ours, theirs = started.model(x).numpy(), source(x).numpy()
    assert theirs.std() > 10
    temperature = theirs.std() / ours.std()
    assert temperature > 20
    np.testing.assert_allclose(temperature * ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())
    assert "--init theirs.tflite" in started.fit().made["commands"][0]


def exported(model: keras.Model, card: Card, path: Path, quant: str) -> Path:
    """As export.py writes it, the card inside."""
    deployed, card = deploy.to_deploy(model, card)
    path.write_bytes(tflite_metadata.add(tflite.convert(deployed, quant), {EMBEDDED: replace(card, quant=quant).embedded()}))
    return path


@pytest.mark.parametrize("changes", [{}, {"channels": 4, "size": 64}])
def test_a_run_starts_from_an_exported_file_as_from_its_checkpoint(tmp_path, dataset, capsys, changes):
    """Its transposed convolutions are no longer there, nor are its batch normalisations."""
    keras.utils.set_random_seed(2)
    source = archs.build(card := archs.new_card("munet_mnv3", wm=0.25, size=32))
    source.set_weights([value + abs(np.random.default_rng(0).normal(0, 0.1, value.shape)) for value in source.get_weights()])
    path = exported(source, card, tmp_path / "ours.tflite", "fp16")
    started = trainer(dataset, tmp_path / "run", arch="munet_mnv3", wm=0.25, init=path, **{"size": 32, **changes})
    assert f"starts from {path}\n" in capsys.readouterr().out  # whole, and no logits divided
    x = np.random.default_rng(1).uniform(-1, 1, started.model.input_shape[1:]).astype(np.float32)[None]
    larger = archs.build(replace(card, size=started.card.size))
    larger.set_weights(source.get_weights())
    expected = larger(x[..., :3], training=False).numpy()
    np.testing.assert_allclose(started.model(x, training=False), expected, atol=0.01 * np.abs(expected).max())  # weights in 16 bits
    batches = np.concatenate([batch["x"] for batch in started._batches()])
    given = keras.Model(started.model.input, started.model.get_layer("dec1_BN").input)(batches).numpy()
    np.testing.assert_allclose(started.model.get_layer("dec1_BN").moving_variance, given.var((0, 1, 2)), rtol=1e-2, atol=1e-4)


def test_a_run_does_not_start_from_rounded_weights(tmp_path, dataset):
    card = Card(arch="tiny", wm=1.0, size=(32, 32), input=UNIT, quant="int8")
    path = tmp_path / "net-int8.tflite"
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    path.write_bytes(tflite_metadata.add(tf.lite.TFLiteConverter.from_keras_model(model).convert(), {EMBEDDED: card.embedded()}))
    with pytest.raises(InputError, match="is int8; start from the float file or checkpoint that it was made from"):
        trainer(dataset, tmp_path / "run", init=path)
