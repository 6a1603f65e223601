"""Linear bottlenecks cut down: exact where nothing is lost, and what is lost is what numpy's singular values say."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.encoders.folded.unfold import unfold
from portraitseg.training import narrowing

X = tf.constant(np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32))


def net(width: int, *, seed: int, rank: int | None = None, act: bool = False, norm: bool = True) -> keras.Model:
    """Two inverted residuals whose bottleneck has `width` channels, `rank` of them independent, and a taker behind."""
    random = np.random.default_rng(seed)
    image = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.Conv2D(12, 3, padding="same", name="enc_stem")(image))
    x = block(x, width, "a", act, norm)
    x = layers.Add(name="enc_add")([x, block(layers.ReLU()(layers.Conv2D(20, 1, name="enc_b_expand")(x)), width, "b", act, norm)])
    x = layers.BatchNormalization(name="enc_last_BN")(layers.Conv2D(10, 3, name="enc_last")(x))
    model = keras.Model(image, x)
    projector = random.normal(size=(width, rank or width))
    for layer in model.layers:
        values = [random.uniform(0.5, 1.5, value.shape) - (value.ndim > 1) for value in layer.get_weights()]
        if layer.name.endswith("project") and rank:
            values[0] = values[0] @ projector @ np.linalg.pinv(projector)
        if layer.name.endswith("project_BN"):  # of one scale, or the channels would not lie in the projector's space
            values[0], values[3] = np.ones_like(values[0]), np.ones_like(values[3])
        layer.set_weights(values)
    return model


def block(x, width: int, name: str, act: bool, norm: bool):
    x = layers.Conv2D(width, 1, name=f"enc_{name}_project")(x)
    x = layers.BatchNormalization(name=f"enc_{name}_project_BN")(x) if norm else x
    return layers.ReLU()(x) if act else x


def copied(model: keras.Model, wide: keras.Model) -> None:
    """As `--init` does before: what has the same shape."""
    for layer in model.layers:
        values = wide.get_layer(layer.name).get_weights() if layer.weights else []
        if [value.shape for value in values] == [tuple(weight.shape) for weight in layer.weights]:
            layer.set_weights(values)


@pytest.mark.parametrize("norm", [True, False])
def test_nothing_changes_where_nothing_is_lost(norm):
    wide, model = net(8, seed=0, rank=4, norm=norm), net(4, seed=1, norm=norm)
    copied(model, wide)
    assert np.abs(model(X) - wide(X)).max() > 1
    (kept,) = narrowing.narrow(model, wide, [X[:2], X[2:]])
    assert kept == pytest.approx(1)
    np.testing.assert_allclose(model(X), wide(X), rtol=1e-3, atol=1e-3)
    unfold(model, [X])
    np.testing.assert_allclose(model(X), wide(X), rtol=1e-3, atol=1e-3)


def test_what_is_lost_is_the_smallest_singular_values():
    wide, model = net(8, seed=0), net(5, seed=1)
    copied(model, wide)
    (kept,) = narrowing.narrow(model, wide, [X])
    covariance = np.zeros((8, 8))
    for name in ("enc_b_expand", "enc_last"):
        seen = keras.Model(wide.input, wide.get_layer(name).input)(X).numpy().reshape(-1, 8)
        covariance += np.cov(seen.T, bias=True) / 2
    squares = np.linalg.svd(covariance, compute_uv=False)
    assert 0.5 < squares[:5].sum() / squares.sum() < 0.999
    assert kept == pytest.approx(squares[:5].sum() / squares.sum(), rel=1e-4)
    drawn = net(5, seed=1)
    copied(drawn, wide)
    near, far = (float(np.square(other(X) - wide(X)).mean()) for other in (model, drawn))
    assert near < 0.2 * far


def test_behind_an_activation_nothing_is_rotated():
    wide, model = net(8, seed=0, act=True), net(4, seed=1, act=True)
    before = model.get_weights()
    assert narrowing.narrow(model, wide, [X]) == []
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_the_bottlenecks_of_an_encoder():
    """munet_mnv3 at half the width: five bottlenecks, of 16 to 96 channels, in 11 blocks."""
    keras.utils.set_random_seed(0)
    wide = archs.build(archs.new_card("munet_mnv3", wm=1.0, size=32))
    model = archs.build(archs.new_card("munet_mnv3", wm=0.5, size=32))
    kept = narrowing.narrow(model, wide, [tf.random.normal((2, 32, 32, 3))])
    assert len(kept) == 5
    assert all(0.3 < share < 1 + 1e-4 for share in kept)
