"""Every architecture in every format against Keras, on weights whose prob varies over the picture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs, image
from portraitseg.card import Card
from portraitseg.cli.test import SAMPLE
from portraitseg.export import formats, parity
from portraitseg.rewrite import deploy
from portraitseg.runtime import open_artifact

LARGE = {"u2net", "resunet", "unet"}  # 30 million parameters and more: their blocks are in the others
NAMES = {"onnx": "net.onnx", "openvino": "net.xml", "frozen": "net.pb", "saved_model": "net"}


def _varied(model: keras.Model) -> keras.Model:
    """Batch statistics and biases that are not the initial ones."""
    rng = np.random.default_rng(5)
    ranges = {"gamma": (0.7, 1.3), "moving_variance": (0.7, 1.3), "bias": (-0.2, 0.2), "beta": (-0.2, 0.2), "moving_mean": (-0.2, 0.2)}
    for weight in model.weights:
        kind = weight.name.split("/")[-1].split(":")[0]
        if kind in ranges:
            weight.assign(rng.uniform(*ranges[kind], weight.shape))
    return model


@pytest.fixture(params=sorted(set(archs.ARCHS) - LARGE))
def net(request: pytest.FixtureRequest) -> tuple[keras.Model, Card]:
    keras.utils.set_random_seed(5)
    card = archs.new_card(request.param, size=64)
    return _varied(archs.build(card)), card


def _spread(model: keras.Model, card: Card, x: np.ndarray) -> np.ndarray:
    """The prob, after the last convolution's weights are scaled, and its bias set, so that it takes much of [0,1]."""
    trunk = archs.logits_model(model)
    logits = np.asarray(trunk(x[None], training=False))[0]
    margin = logits[..., 0] if card.classes == 1 else logits[..., 1] - logits[..., 0]
    low, middle, high = np.percentile(margin, [5, 50, 95])
    last, scale = next(layer for layer in reversed(trunk.layers) if layer.weights), 3 / (high - low)
    kernel, *bias = last.get_weights()
    person = np.eye(card.classes)[-1]  # whose logit the margin grows with
    last.set_weights([kernel * scale, *((vector - middle * person) * scale for vector in bias)])
    return parity.keras_reference(model, card)(x)


@pytest.mark.slow
def test_each_gives_what_keras_gives(net: tuple[keras.Model, Card], tmp_path: Path) -> None:
    model, trained = net
    picture = image.resize(image.read(SAMPLE), trained.size)
    expected = _spread(model, trained, image.to_input(picture, trained))
    assert expected.std() > 0.03
    graph, card = deploy.to_deploy(model, trained)
    for form, name in NAMES.items():
        for layout in formats.FORMATS[form].layouts:
            path = tmp_path / layout / name
            path.parent.mkdir(exist_ok=True)
            formats.write(form, graph, replace(card, layout=layout), path, None)
            prob = open_artifact(path, card=replace(card, layout=layout))(picture)
            assert np.abs(prob - expected).max() <= 1e-4, (form, layout)
