"""Branches of a concatenation reach equally far, and the net computes what it did."""

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.data.synthetic import Synthetic
from portraitseg.quantization import balance
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.rewrite.deploy import to_deploy
from portraitseg.rewrite.graph import Graph
from portraitseg.rewrite.int8_graph import to_int8_graph
from portraitseg.rewrite.simplify import simplify

SIZE = 32
SOURCE = Synthetic(4, seed=0, size=SIZE)


def pictures() -> CalibrationSet:
    return CalibrationSet(source=SOURCE, indices=[0, 1, 2, 3], card=archs.new_card("munet_mnv3", size=SIZE))


def shown(model: keras.Model, names: list[str]) -> list[np.ndarray]:
    probe = keras.Model(model.input, [model.get_layer(name).output for name in names])
    return [np.concatenate(values) for values in zip(*(probe(x) for x in pictures()), strict=True)]


def reach(values: np.ndarray) -> float:
    return float(np.percentile(np.abs(values), 99.9))


def net(activation: str = "relu", *, shared: bool = False, kernel: int = 2) -> keras.Model:
    """A skip that reaches a hundred times as far as what comes from below, joined and taken by two convolutions."""
    keras.utils.set_random_seed(3)
    x = keras.Input((SIZE, SIZE, 3), batch_size=1)
    skip = layers.ReLU(name="skip")(layers.Conv2D(4, 3, padding="same", name="skip_conv")(x))
    low = layers.Conv2DTranspose(10, kernel, 2, padding="same", name="low_conv")(layers.MaxPooling2D()(skip))
    low = layers.ReLU(6.0 if activation == "relu6" else None, name="low")(low)
    joined = layers.ZeroPadding2D(1, name="pad")(layers.Concatenate(name="join")([low, skip]))
    outs = [layers.Conv2D(3, 3, name=f"taker{number}")(joined) for number in range(2)]
    outs += [layers.Conv2D(3, 1, name="other")(low)] if shared else []
    model = keras.Model(x, layers.Activation("sigmoid", name="prob")(layers.Add(name="sum")(outs)))
    taps, bias = model.get_layer("low_conv").get_weights()
    model.get_layer("low_conv").set_weights([taps / 100, bias + 0.01])
    return model


def test_the_nearer_branch_gets_the_root_of_what_it_lacks() -> None:
    model = net()
    low, skip, expected = shown(model, ["low", "skip", "prob"])
    by = balance.factors(model, pictures())
    assert by == {"low_conv": pytest.approx(np.sqrt(reach(skip) / reach(low)), rel=0.1)}
    assert by["low_conv"] > 5
    made = balance.balanced(model, by)
    new_low, new_skip, found = shown(made, ["low", "skip", "prob"])
    np.testing.assert_allclose(new_low, low * by["low_conv"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(new_skip, skip, rtol=1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_phases_of_a_transposed_convolution_are_one_branch() -> None:
    graph = Graph(net(kernel=3))
    simplify(graph)
    model = graph.build()
    by = balance.factors(model, pictures())
    assert sorted(by) == [f"low_conv_phase{phase}" for phase in ("00", "01", "10", "11")]
    assert len(set(by.values())) == 1
    made = balance.balanced(model, by)
    (low, expected), (new_low, found) = (shown(either, ["low", "prob"]) for either in (model, made))
    np.testing.assert_allclose(new_low, low * by["low_conv_phase00"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("case", ["its ReLU6 keeps no factor", "somebody else takes it too"])
def test_what_cannot_be_scaled_is_left(case: str) -> None:
    model = net("relu6") if "ReLU6" in case else net(shared=True)
    assert balance.factors(model, pictures()) == {}


@pytest.mark.parametrize("arch", ["munet_mnv3", "munet_mnv2"])
def test_nets_compute_what_they_did(arch: str) -> None:
    keras.utils.set_random_seed(0)
    card = archs.new_card(arch, size=SIZE)
    model = to_int8_graph(to_deploy(archs.build(card), card)[0])
    names = [layer.name for layer in model.layers if "_up_phase" in layer.name and layer.weights]
    made = balance.balanced(model, dict.fromkeys(names, 7.0))
    x = np.random.default_rng(0).uniform(-1, 1, model.input_shape).astype(np.float32)
    np.testing.assert_allclose(made(x), model(x), atol=1e-5)
    assert any(not np.allclose(made.get_layer(name).get_weights()[0], model.get_layer(name).get_weights()[0]) for name in names)
