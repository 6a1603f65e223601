"""A step of a net with training-only outputs, against the loss and its gradient worked by NumPy; who sees the logits alone."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint
from portraitseg.archs import ArchSpec, Heads
from portraitseg.runtime import open_artifact
from portraitseg.training.objective import make_objective
from portraitseg.training.settings import LossSettings
from portraitseg.training.step import make_train_step
from portraitseg.training.validation import predict

SIZE = 32
random = np.random.default_rng(0)
X = random.uniform(-1, 1, (2, SIZE, SIZE, 3)).astype(np.float32)
MASK = np.zeros((2, SIZE, SIZE, 1), np.float32)
MASK[0, 5:20, 8:25] = 1
MASK[1, 10:, :14] = 1
KERNELS = {name: random.normal(size=(3, 1)) for name in ("head_conv", "head_side", "head_boundary")}


def three_heads(x, *, wm, classes):
    """Every output a 1x1 convolution of the picture, so that numpy can say what it is."""
    logits, side, boundary = (keras.layers.Conv2D(classes, 1, use_bias=False, name=name)(x) for name in KERNELS)
    return Heads(logits, {"side": side, "boundary": boundary})


@pytest.fixture(autouse=True)
def three_heads_arch(monkeypatch):
    monkeypatch.setitem(archs.ARCHS, "three_heads", ArchSpec(builder=three_heads, size=SIZE, paper="-"))


@pytest.fixture
def model():
    model = archs.build(archs.new_card("three_heads"))
    for name, kernel in KERNELS.items():
        model.get_layer(name).set_weights([kernel[None, None]])
    return model


def cross_entropy(target, logits):
    return np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - target * logits


def band(mask):
    """The edge band by loops: pixels with both a person and a background pixel within two rows and columns."""
    out = np.zeros_like(mask)
    for index in np.ndindex(mask.shape[:3]):
        picture, row, column = index
        around = mask[picture, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        out[index] = around.max() > around.min()
    return out


def total(kernels, boundary_weight):
    """BCE of the logits and of the side output, and the weighted focal loss of the boundary, in float64."""
    logits, side, boundary = (X.astype(np.float64) @ kernels[name] for name in KERNELS)
    edge = cross_entropy(band(MASK), boundary)
    focal = ((1 - np.exp(-edge)) ** 2 * edge).mean()
    return cross_entropy(MASK, logits).mean() + cross_entropy(MASK, side).mean() + boundary_weight * focal


def gradient(name, boundary_weight, step=1e-5):
    """Central differences of `total`."""
    found = np.zeros((3, 1))
    for channel in range(3):
        for sign in (1, -1):
            moved = {key: kernel.copy() for key, kernel in KERNELS.items()}
            moved[name][channel, 0] += sign * step
            found[channel, 0] += sign * total(moved, boundary_weight) / (2 * step)
    return found


@pytest.mark.parametrize("boundary_weight", [0.1, 2.0])
def test_the_loss_and_every_heads_gradient_are_numpys(model, boundary_weight):
    objective = make_objective(LossSettings(loss="bce=1", boundary_weight=boundary_weight))
    step = make_train_step(model, keras.optimizers.legacy.SGD(1.0), objective)
    value = float(step({"x": tf.constant(X), "mask": tf.constant(MASK)}))
    assert value == pytest.approx(total(KERNELS, boundary_weight), rel=1e-5)
    for name, kernel in KERNELS.items():
        moved = kernel - model.get_layer(name).get_weights()[0][0, 0]  # learning rate 1: the gradient
        wanted = gradient(name, boundary_weight)
        assert np.abs(wanted).max() > 1e-4
        np.testing.assert_allclose(moved, wanted, rtol=1e-2, atol=1e-6)


class One:
    """A source of one picture of the net's size."""

    picture = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)

    def __len__(self):
        return 1

    def name(self, index):
        return "one"

    def load(self, index):
        return self.picture, (255 * MASK[0, ..., 0]).astype(np.uint8)


def test_validation_and_the_keras_runtime_see_the_logits_alone(model, tmp_path):
    card = archs.new_card("three_heads")
    checkpoint.save(model, card, tmp_path / "best.h5")
    wanted = 1 / (1 + np.exp(-((One.picture / 127.5 - 1) @ KERNELS["head_conv"])[..., 0]))
    ((index, validated),) = predict(model, card, One())
    assert index == 0
    np.testing.assert_allclose(validated, wanted, atol=1e-5)
    np.testing.assert_allclose(open_artifact(tmp_path / "best.h5")(One.picture), wanted, atol=1e-5)
