import sys

import numpy as np
import pytest

from portraitseg.card import SYMMETRIC, Card, card_path
from portraitseg.errors import InputError
from portraitseg.runtime import open_artifact

SIZE = (4, 6)
PICTURE = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture
def checkpoint_of(monkeypatch, tmp_path):
    """Path of a checkpoint that loads as one dense layer with the given kernel (3, classes)."""
    import tf_keras as keras

    from portraitseg import checkpoint

    def make(kernel):
        classes = kernel.shape[1]
        logits = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Dense(classes, use_bias=False), keras.layers.Dropout(0.9)])
        logits.set_weights([kernel])
        card = Card(arch="dense", wm=1.0, size=SIZE, input=SYMMETRIC, classes=classes)
        monkeypatch.setattr(checkpoint, "load", lambda path: (logits, card))
        path = tmp_path / "net.h5"
        path.touch()
        card.save(card_path(path))
        return path

    return make


@pytest.mark.parametrize("classes", [1, 2])
def test_a_checkpoints_logits_become_prob(checkpoint_of, classes):
    kernel = np.array([[2.0, -1.0], [0.5, 1.5], [-1.0, 0.25]], np.float32)[:, :classes]
    runtime = open_artifact(checkpoint_of(kernel))
    powers = np.exp((PICTURE / 127.5 - 1) @ kernel.astype(np.float64))
    wanted = powers[..., 0] / (1 + powers[..., 0]) if classes == 1 else powers[..., 1] / powers.sum(-1)
    prob = runtime(PICTURE)
    assert prob.dtype == np.float32
    np.testing.assert_allclose(prob, wanted, atol=1e-5)
    np.testing.assert_allclose(runtime.run(PICTURE), wanted, atol=1e-5)


def test_a_checkpoint_takes_no_other_card(checkpoint_of):
    path = checkpoint_of(np.ones((3, 1), np.float32))
    with pytest.raises(InputError, match="takes no other"):
        open_artifact(path, card=Card(arch="dense", wm=1.0, size=SIZE, input=SYMMETRIC))


def test_without_tensorflow_the_error_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "net.h5").touch()
    Card(arch="dense", wm=1.0, size=SIZE, input=SYMMETRIC).save(tmp_path / "net.json")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r'"\.\[train\]"'):
        open_artifact(tmp_path / "net.h5")
