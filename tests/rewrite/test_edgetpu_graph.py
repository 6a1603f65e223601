"""The rewritten graph computes the same as the one that was built, and what has no place is refused."""

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.card import UNIT, Card
from portraitseg.errors import InputError
from portraitseg.layers import HardSwish
from portraitseg.rewrite import deploy, edgetpu_graph
from portraitseg.rewrite.edgetpu_graph import to_edgetpu_graph


def _net(*stack: layers.Layer, size: int, channels: int = 3) -> keras.Model:
    keras.utils.set_random_seed(1)
    x = image = keras.Input((size, size, channels), batch_size=1)
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x)


def _same(model: keras.Model, size: int, channels: int = 3) -> keras.Model:
    made = to_edgetpu_graph(model)
    x = np.random.default_rng(2).normal(0, 1, (1, size, size, channels)).astype(np.float32)
    expected = np.asarray(model(x))
    assert expected.std() > 0.01
    np.testing.assert_allclose(np.asarray(made(x)), expected, atol=2e-6)
    return made


def _kinds(model: keras.Model) -> set[str]:
    return {type(layer).__name__ for layer in model.layers}


@pytest.mark.parametrize("factor", [2, 4])
def test_a_large_resize_becomes_a_transposed_convolution_up_to_the_rim(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgetpu_graph, "LARGE", 16 * factor)
    made = _same(_net(layers.UpSampling2D(factor, interpolation="bilinear", name="up"), size=16), 16)
    assert _kinds(made) == {"InputLayer", "EdgePad", "BilinearTranspose", "Cropping2D"}


def test_small_and_wide_resizes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    small = _net(layers.UpSampling2D(2, interpolation="bilinear"), size=16)
    wide = _net(layers.UpSampling2D(2, interpolation="bilinear"), size=16, channels=17)
    assert "UpSampling2D" in _kinds(to_edgetpu_graph(small))
    monkeypatch.setattr(edgetpu_graph, "LARGE", 32)
    assert "UpSampling2D" in _kinds(to_edgetpu_graph(wide))
    assert "UpSampling2D" not in _kinds(to_edgetpu_graph(small))


def test_two_classes_become_sigmoids() -> None:
    card = Card(arch="a", wm=1, size=(16, 16), input=UNIT, classes=2)
    model, _ = deploy.to_deploy(_net(layers.Conv2D(2, 3, padding="same"), size=16), card, rewrite=False)
    made = _same(model, 16)
    assert made.layers[-1].activation is keras.activations.sigmoid
    assert made.layers[-1].name == "prob"


def test_hard_swish_is_refused_with_the_layers_name_and_the_remedy() -> None:
    with pytest.raises(InputError, match=r"layer gate and 1 more .*--arch munet_mnv2, or --encoder mobilenet_v3_small"):
        to_edgetpu_graph(_net(layers.Conv2D(4, 1), HardSwish(name="gate"), layers.Conv2D(4, 1), HardSwish(name="gate2"), size=16))


def test_encoders_with_squeeze_and_excite_are_refused() -> None:
    card = archs.new_card("munet", size=32, encoder="mobilenet_v3_small_full", wm=0.35)
    graph, _ = deploy.to_deploy(archs.build(card), card, rewrite=False)
    with pytest.raises(InputError, match=r"layer enc_Conv_hard_swish and 2[0-9] more"):
        to_edgetpu_graph(graph)
