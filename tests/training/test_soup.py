"""Means of nets: of what their weights do, not of how batch normalisation shares it out; chosen by hand-worked scores; as a command."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint
from portraitseg.archs import ARCHS, logits_model
from portraitseg.cli import main
from portraitseg.rewrite.deploy import fold_in_place
from portraitseg.training import soup
from tests import tiny
from tests.drawn import drawn

MODELS = Path(__file__).parents[2] / "models"
X = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32))


def trained(arch: str, seed: int = 0, **settings) -> keras.Model:
    return drawn(archs.new_card(arch, size=64, **settings), seed)


@pytest.mark.parametrize(
    "arch",
    [
        "munet_mnv2",
        "selfie_net",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("munet_mnv3_transition", "portrait_net", "u2netp")),
    ],
)
def test_folding_in_place_changes_no_output_and_takes_the_statistics_out(arch):
    model = trained(arch)
    before = [np.asarray(output) for output in tf.nest.flatten(model(X))]
    fold_in_place(model)
    for old, new in zip(before, tf.nest.flatten(model(X)), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-4 * np.abs(old).max())
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum(not layer.moving_mean.numpy().any() and (layer.moving_variance.numpy() == 1).all() for layer in norms) > 0.8 * len(norms) > 5


def test_two_nets_of_one_function_have_it_as_their_mean():
    """One has a kernel of three times the size, which its statistics take back: the mean of raw weights is another function."""
    one, other = trained("munet_mnv3_transition"), trained("munet_mnv3_transition")
    other.set_weights(one.get_weights())
    conv, norm = other.get_layer("enc_Conv"), other.get_layer("enc_Conv_BatchNorm")
    gamma, beta, average, variance = norm.get_weights()
    conv.set_weights([3 * value for value in conv.get_weights()])
    norm.set_weights([gamma, beta, 3 * average, 9 * (variance + norm.epsilon) - norm.epsilon])
    wanted = one(X).numpy()
    close = {"atol": 1e-3 * np.abs(wanted).max()}
    np.testing.assert_allclose(other(X), wanted, **close)
    raw = soup.mean([one.get_weights(), other.get_weights()])
    for model in (one, other):
        fold_in_place(model)
    folded = soup.mean([one.get_weights(), other.get_weights()])
    one.set_weights(raw)
    assert np.abs(one(X).numpy() - wanted).max() > 10 * close["atol"]
    fold_in_place(one)
    one.set_weights(folded)
    np.testing.assert_allclose(one(X), wanted, **close)


def test_the_mean_is_of_each_array():
    nets = [[np.array([1.0, 2.0]), np.array([[4.0]])], [np.array([3.0, 2.0]), np.array([[0.0]])], [np.array([5.0, 8.0]), np.array([[5.0]])]]
    for got, wanted in zip(soup.mean(nets), ([3.0, 4.0], [[3.0]]), strict=True):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == np.float32


def test_greedy_takes_the_best_first_and_keeps_what_does_no_harm():
    """A net is one number, the best is 10. Of 7, 14, 9 and 30 it starts with 9, and no mean of it and another is nearer to 10."""

    def chosen(*nets: float) -> tuple[list[int], list[float]]:
        tried: list[float] = []

        def score(indices: list[int]) -> float:
            tried.append(sum(nets[index] for index in indices) / len(indices))
            return -abs(tried[-1] - 10)

        return soup.greedy([-abs(net - 10) for net in nets], score), tried

    assert chosen(7, 14, 9, 30) == ([2], [8, 11.5, 19.5])
    assert chosen(12, 9, 30) == ([1, 0], [10.5, 17])
    assert chosen(10, 10) == ([0, 1], [10])


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two checkpoints of a net, of other statistics and size each, and pictures."""
    monkeypatch.setitem(ARCHS, "tiny", tiny.SPEC)
    tiny.write_discs(tmp_path / "discs", val=6)
    for number in range(2):
        made = {"commands": ["start", f"run {number}"], "hours": 1.5}
        card = dataclasses.replace(archs.new_card("tiny", size=32 * (number + 1)), data=(f"set {number}",), licence="MIT", made=made)
        model = archs.build(card)
        random = np.random.default_rng(number)
        bright = [np.full((3, 3, 3, 8), 0.1), np.full(8, 0.3), np.ones(8), np.zeros(8), np.full(8, number), np.full(8, 1.0 + number)]
        noise = [random.uniform(0.9, 1.1, np.shape(value)) * value for value in bright]
        model.set_weights([*noise, np.full((1, 1, 8, 1), 0.2), np.full(1, -0.3)])
        checkpoint.save(model, card, tmp_path / f"{number}.h5")
    return [str(tmp_path / f"{number}.h5") for number in range(2)]


def test_the_command(nets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*nets, "--data", str(tmp_path / "discs"), "--no-greedy", "--out", str(tmp_path / "mean.h5")]
    assert main("soup", arguments) == 0
    assert "mean.h5, mIoU " in capsys.readouterr().out
    model, card = checkpoint.load(tmp_path / "mean.h5")
    assert card.size == (32, 32)
    assert all(card.size == (64, 64) for card in soup.ingredients([Path(path) for path in reversed(nets)])[2])
    assert card.data == ("set 0", "set 1")
    assert card.licence == "MIT"
    assert card.made["hours"] == 3
    assert card.made["commands"] == ["start", "run 0", "run 1", "portraitseg soup 0.h5 1.h5 --data discs --no-greedy"]

    x = tf.constant(np.random.default_rng(5).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32))
    parts = []
    for path in nets:
        net = checkpoint.load(Path(path))[0]
        fold_in_place(net)
        parts.append([np.asarray(weight, np.float64) for weight in net.get_weights()])
    net = archs.build(card)
    net.set_weights([(one + other) / 2 for one, other in zip(*parts, strict=True)])
    np.testing.assert_allclose(logits_model(model)(x), logits_model(net)(x), atol=1e-5)
    mean, variance = model.get_layer("enc_bn").get_weights()[2:]
    assert np.abs(mean).min() > 0.01 and np.abs(variance - 1).min() > 0.01, "it can be trained on: statistics are there"
    assert json.loads((tmp_path / "mean.json").read_text())["metrics"]["miou"] > 50

    assert main("soup", arguments) == 2
    assert "mean.h5 exists already; add --force" in capsys.readouterr().err


def test_hours_of_a_start_count_once_where_it_is_among_the_nets():
    start, first, second = (
        dataclasses.replace(archs.new_card("munet_mnv3"), made={"commands": ["start", *more], "hours": hours})
        for more, hours in (((), 2.0), (("first",), 3.0), (("second",), 2.5))
    )
    assert soup.card_of([first, start, second], "soup", {}).made == {"commands": ["start", "first", "second", "soup"], "hours": 3.5}
    assert soup.card_of([first, second], "soup", {}).made["hours"] == 5.5


def test_no_mean_is_written_where_each_harms(nets: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, card = checkpoint.load(Path(nets[1]))
    model.set_weights([*model.get_weights()[:-1], np.full(1, 40.0)])  # the person everywhere, also in the mean
    checkpoint.save(model, card, Path(nets[1]))
    assert main("soup", [*nets, "--data", str(tmp_path / "discs"), "--out", str(tmp_path / "mean.h5")]) == 1
    assert "nothing written" in capsys.readouterr().out
    assert not (tmp_path / "mean.h5").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["0.h5"], "give two or more nets .* got 1"),
        ([], "give two or more nets .* got 0"),
        (["0.h5", "none.h5"], "no checkpoint .*none.h5"),
        (["0.h5", str(MODELS / "portrait_nano_s-wm100-160-int8.tflite")], "is int8; start from the float file"),
        (["0.h5", str(MODELS / "portrait_nano_s-wm100-160-fp16.tflite")], "another net than .*0.h5: arch portrait_nano_s against tiny"),
        (["0.h5", "1.h5", "--out", "mean.tflite"], "--out must end in .h5, got mean.tflite"),
    ],
)
def test_what_has_no_mean(nets: list[str], tmp_path: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(tmp_path / word) if re.fullmatch(r"\w+\.h5", word) else word for word in given]
    assert main("soup", [*words, "--data", str(tmp_path / "discs")]) == 2
    assert re.search(message, capsys.readouterr().err)
