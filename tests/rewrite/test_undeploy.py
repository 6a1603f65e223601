"""A training graph from the deploy graph's weights computes what the one did that they came from."""

import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs
from portraitseg.errors import InputError
from portraitseg.rewrite.deploy import to_deploy
from portraitseg.rewrite.undeploy import undeployed
from tests.drawn import drawn

SIZE = 32
X = np.random.default_rng(3).uniform(-1, 1, (1, SIZE, SIZE, 4)).astype(np.float32)


def weights_of(graph: keras.Model) -> dict[str, np.ndarray]:
    return {f"{layer.name}/{weight.name.split('/')[-1][:-2]}": weight.numpy() for layer in graph.layers for weight in layer.weights}


def logits(model: keras.Model) -> np.ndarray:
    trunk = archs.logits_model(model)
    return np.asarray(trunk(X[..., : trunk.input_shape[-1]], training=False))


CARDS = {
    "munet_mnv3": {},  # transposed convolutions, a bias before batch normalisation
    "portrait_nano_s": {},  # shortcuts within convolutions
    "selfie_net": {"wm": 1.5, "resize": "align_corners"},
    "portrait_net": {"channels": 4},  # a head that does not ship
    "munet_mnv2": {"decoder": "bilinear"},
    "prisma_net": {},
    "slim_net": {},  # PReLU
}
FAST = 3


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if n >= FAST else []) for n, name in enumerate(CARDS)])
def test_every_weight_comes_back(name):
    card = archs.new_card(name, size=SIZE, **CARDS[name])
    model = drawn(card)
    found = undeployed(card, lambda graph: weights_of(to_deploy(model, card)[0]))
    expected = logits(model)
    np.testing.assert_allclose(logits(found), expected, atol=1e-4 * np.abs(expected).max())


def test_weights_that_the_rewriting_mixes_are_refused():
    card = archs.new_card("selfie_net", size=SIZE, classes=2)  # its softmax becomes a sigmoid of the difference
    with pytest.raises(InputError, match=r"cannot be had from its exported form .*; give the checkpoint"):
        undeployed(card, lambda graph: weights_of(to_deploy(drawn(card), card)[0]))


def test_a_file_that_lacks_weights_is_refused():
    card = archs.new_card("selfie_net", size=SIZE)
    with pytest.raises(InputError, match=r"cannot be had from its exported form \(enc_stem/kernel\)"):
        undeployed(card, lambda graph: {key: value for key, value in weights_of(graph).items() if key != "enc_stem/kernel"})
