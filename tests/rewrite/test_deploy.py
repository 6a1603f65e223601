"""The deploy graph against the training graph, on batch-norm statistics that are not the initial ones."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.card import SYMMETRIC, Card
from portraitseg.errors import InputError
from portraitseg.layers import Dropout
from portraitseg.rewrite import deploy


def _card(*, classes: int = 1) -> Card:
    return Card(arch="munet_mnv3", wm=0.5, size=(32, 32), input=SYMMETRIC, classes=classes)


def _randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    """Batch-norm vectors and biases that training could have left."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            names = [weight.name.split("/")[-1] for weight in layer.weights]
            spread = {"gamma:0": (0.5, 1.5), "beta:0": (-0.5, 0.5), "moving_mean:0": (-0.5, 0.5), "moving_variance:0": (0.3, 3.0)}
            layer.set_weights([rng.uniform(*spread[name], w.shape) for name, w in zip(names, weights, strict=True)])
        elif getattr(layer, "use_bias", False):
            layer.set_weights([*weights[:-1], rng.normal(0, 0.3, weights[-1].shape)])
    return model


def _centre(model: keras.Model, x: np.ndarray) -> keras.Model:
    """Scale the last convolution so that the logits of `x` have mean 0 and deviation 1: a sigmoid that is flat agrees with anything."""
    layer = model.get_layer("logits")
    while not layer.weights:
        layer = layer.inbound_nodes[0].inbound_layers
    logits = np.asarray(tf.nest.flatten(model(x, training=False))[0], np.float64)
    kernel, *bias = layer.get_weights()
    layer.set_weights([kernel / logits.std(), *[(value - logits.mean()) / logits.std() for value in bias]])
    return model


def _probs(model: keras.Model, deployed: keras.Model, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The training graph's sigmoid, by numpy, and the deploy graph's output."""
    logits = np.asarray(tf.nest.flatten(model(x, training=False))[0], np.float64)
    return 1 / (1 + np.exp(-logits)), np.asarray(deployed(x))


def _input(size: int = 32) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)


KINDS = {
    "conv": lambda: layers.Conv2D(6, 3, padding="same", use_bias=False),
    "grouped conv with bias": lambda: layers.Conv2D(6, 3, padding="same", groups=3),
    "depthwise, two per channel": lambda: layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
    "transposed": lambda: layers.Conv2DTranspose(5, 3, strides=2, padding="same"),
    "separable": lambda: layers.SeparableConv2D(7, 3, padding="same", use_bias=False),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("affine", [True, False])
def test_bn_is_folded_into_every_kind_of_convolution(kind: str, affine: bool) -> None:
    image = keras.Input((32, 32, 3))
    x = layers.BatchNormalization(center=affine, scale=affine, epsilon=0.01)(KINDS[kind]()(image))
    model = _randomise(keras.Model(image, layers.Conv2D(1, 1, name="logits")(layers.ReLU(6.0)(x))))

    deployed, card = deploy.to_deploy(model, _card())

    expected, found = _probs(model, deployed, _input())
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not [layer for layer in deployed.layers if isinstance(layer, layers.BatchNormalization)]
    assert card.output == "prob"
    assert deploy.folded_params(model) == deploy.to_deploy(model, _card(), rewrite=False)[0].count_params()


def test_dropout_between_convolution_and_bn_is_dropped_first() -> None:
    image = keras.Input((32, 32, 3))
    x = Dropout(0.5)(layers.Conv2D(4, 3, padding="same")(image))
    x = layers.SpatialDropout2D(0.5)(layers.BatchNormalization()(x))
    model = _randomise(keras.Model(image, layers.Conv2D(1, 1, name="logits")(layers.Dropout(0.5)(x))))

    deployed, _ = deploy.to_deploy(model, _card())

    assert [type(layer).__name__ for layer in deployed.layers] == ["InputLayer", "Conv2D", "Conv2D", "Activation"]
    expected, found = _probs(model, deployed, _input())
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_bn_that_no_convolution_can_take_stays_and_is_named() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.BatchNormalization(name="first")(image)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="curved")(x)
    x = layers.BatchNormalization(name="behind_relu")(x)
    shared = layers.Conv2D(4, 3, padding="same", name="read_twice")(x)
    x = layers.Add()([layers.BatchNormalization(name="one_of_two")(shared), shared])
    x = layers.BatchNormalization(name="behind_add")(x)
    twice = layers.Conv2D(4, 3, padding="same", name="called_twice")
    x = layers.BatchNormalization(name="behind_shared")(twice(twice(x)))
    both = layers.BatchNormalization(name="called_twice_too")
    x = both(layers.ReLU()(both(layers.Conv2D(4, 1)(x))))
    model = _randomise(keras.Model(image, layers.Conv2D(1, 1, name="logits")(x)))

    deployed, _ = deploy.to_deploy(model, _card())

    assert set(deploy.unfolded(model)) == {"first", "behind_relu", "one_of_two", "behind_add", "behind_shared", "called_twice_too"}
    expected, found = _probs(model, deployed, _input())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert deploy.folded_params(model) == deployed.count_params() == model.count_params()


def test_aux_heads_are_dropped_and_batch_is_one() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.ReLU()(layers.Conv2D(4, 3, padding="same")(image))
    aux = layers.Conv2D(1, 1, name="boundary")(layers.Conv2D(8, 3, name="aux_only")(x))
    model = keras.Model(image, [aux, layers.Conv2D(1, 1, name="logits")(x)])

    deployed, _ = deploy.to_deploy(model, _card())

    assert deployed.input_shape == (1, 32, 32, 3)
    assert deployed.output_shape == (1, 32, 32, 1)
    assert not {"boundary", "aux_only"} & {layer.name for layer in deployed.layers}
    np.testing.assert_allclose(deployed(_input()), tf.sigmoid(model(_input())[1]), atol=1e-6)


def test_two_classes_get_a_softmax() -> None:
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, layers.Conv2D(2, 3, padding="same", name="logits")(image))

    deployed, _ = deploy.to_deploy(model, _card(classes=2))

    logits = np.exp(np.asarray(model(_input()), np.float64))
    np.testing.assert_allclose(deployed(_input()), logits / logits.sum(-1, keepdims=True), atol=1e-6)


def test_a_net_trained_in_half_precision_ships_in_float32() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.BatchNormalization(dtype="mixed_float16")(layers.Conv2D(4, 3, padding="same", dtype="mixed_float16")(image))
    model = _randomise(keras.Model(image, layers.Conv2D(1, 1, dtype="float32", name="logits")(x)))

    deployed, _ = deploy.to_deploy(model, _card())

    assert {layer.compute_dtype for layer in deployed.layers} == {"float32"}
    expected, found = _probs(model, deployed, _input())
    assert 1e-5 < np.abs(found - expected).max() < 1e-2  # the training graph rounds, the deploy graph does not


def test_the_training_graph_is_left_as_it_was() -> None:
    image = keras.Input((32, 32, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    model = _randomise(keras.Model(image, layers.Conv2D(1, 1, name="logits")(x)))
    before = [np.copy(weight) for weight in model.get_weights()]
    output = np.asarray(model(_input()))

    deploy.to_deploy(model, _card())

    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    assert np.array_equal(output, model(_input()))


def test_graphs_that_cannot_be_deployed_are_refused() -> None:
    image = keras.Input((32, 32, 3))
    two = keras.Model(image, [layers.Conv2D(1, 1, name="a")(image), layers.Conv2D(1, 1, name="b")(image)])
    with pytest.raises(InputError, match=r"2 outputs \(a, b\)"):
        deploy.to_deploy(two, _card())

    inner = keras.Sequential([layers.Conv2D(1, 1)], name="inner")
    with pytest.raises(InputError, match="inner is a model within the model"):
        deploy.to_deploy(keras.Model(image, layers.Activation("linear", name="logits")(inner(image))), _card())

    free = keras.Input((None, None, 3))
    with pytest.raises(InputError, match="no fixed size"):
        deploy.to_deploy(keras.Model(free, layers.Conv2D(1, 1, name="logits")(free)), _card())


NARROW = {"unet": 0.125, "u2net": 0.125, "resunet": 0.125, "autoencoder": 0.25, "munet": 0.5}
TWINS = {
    "munet",
    "munet_mnv2_transition",
    "mobilenet_v2_unet",
    "mobilenet_v4_unet",
    "portrait_nano_m",
    "portrait_nano_l",
    "u2net",
    "u2netp",
    "resunet",
}
"""Made of the layers of another arch, or large."""


def _variants() -> list[Any]:
    """Every arch by default, and, with `-m slow`, each other value of an option; of the encoders three that differ in kind."""
    found = [pytest.param(name, {}, marks=[pytest.mark.slow] if name in TWINS else []) for name in archs.ARCHS]
    for name, spec in archs.ARCHS.items():
        for option, values in spec.options.items():
            others = ("mobilenet_v3_large_full", "mobilenet_v4_conv_small", "resnet50") if option == "encoder" else values[1:]
            found += [pytest.param(name, {option: value}, marks=[pytest.mark.slow]) for value in others]
    return found


@pytest.mark.parametrize(("arch", "options"), _variants())
def test_every_arch_deploys_to_the_same_prob(arch: str, options: dict[str, str]) -> None:
    keras.utils.set_random_seed(0)
    card = archs.new_card(arch, size=64, wm=NARROW.get(arch), **options)
    model = _centre(_randomise(archs.build(card)), _input(64))

    deployed, _ = deploy.to_deploy(model, card)

    expected, found = _probs(model, deployed, _input(64))
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert deploy.unfolded(model) == []
    assert deploy.folded_params(model) <= model.count_params()
    steps = deploy.deploy_graph(model, card, rewrite=False).steps.values()  # rewriting trades parameters for time
    assert sum(weight.size for step in steps for weight in step.weights) == deploy.folded_params(model)
