"""Optimizers, weight decay, clipping, accumulation and the average of the weights, against NumPy's step-by-step arithmetic."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.errors import InputError
from portraitseg.training.optimiser import Average, make_optimizer, set_momentum, state_of, undecayed
from portraitseg.training.settings import OptimiserSettings
from portraitseg.training.step import freeze, make_train_step

random = np.random.default_rng(0)
X = random.normal(size=(12, 4, 4, 3)).astype(np.float32)
Y = random.normal(size=(12, 4, 4, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def float32_again():
    yield
    keras.mixed_precision.set_global_policy("float32")


def linear(*, norm: bool = False) -> keras.Model:
    """A 1x1 convolution with bias, on request a batch norm and a depthwise one before it."""
    keras.utils.set_random_seed(1)
    x = inputs = layers.Input((4, 4, 3))
    if norm:
        x = layers.DepthwiseConv2D(3, padding="same", name="enc_depthwise")(x)
        x = layers.PReLU(shared_axes=[1, 2], name="enc_prelu")(layers.BatchNormalization(name="enc_bn")(x))
    return keras.Model(inputs, layers.Conv2D(2, 1, name="head_conv", dtype="float32", bias_initializer="ones")(x))


def squares(model, batch):
    return tf.reduce_mean(tf.square(model(batch["x"], training=True) - batch["mask"]))


def steps(model, settings, count, *, lr=0.1, size=12):
    """Take `count` steps on the first `size` samples; the losses."""
    optimizer = make_optimizer(settings, model, lr)
    step = make_train_step(model, optimizer, squares, accumulate=settings.accumulate)
    batch = {"x": tf.constant(X[:size]), "mask": tf.constant(Y[:size])}
    return [float(step(batch)) for _ in range(count)]


def gradients(kernel, bias):
    """Of the mean square, worked out by hand: kernel (3,2) and bias (2,)."""
    x, y = X.reshape(-1, 3).astype(np.float64), Y.reshape(-1, 2).astype(np.float64)
    error = 2 * (x @ kernel + bias - y) / y.size
    return [x.T @ error, error.sum(0)]


def by_hand(name, weights, count, *, lr=0.1, decay=0.0, clip=None, momentum=0.9):
    """PyTorch's rules: clip, add decay to the gradient (adam, sgd) or to the weight (adamw), then move. Only the kernel decays."""
    weights = [weight.astype(np.float64) for weight in weights]
    first, second = [np.zeros_like(weight) for weight in weights], [np.zeros_like(weight) for weight in weights]
    for t in range(1, count + 1):
        found = gradients(*weights)
        norm = np.sqrt(sum((gradient**2).sum() for gradient in found))
        found = [gradient * min(1, (clip or np.inf) / norm) for gradient in found]
        for i, gradient in enumerate(found):
            pull = decay * weights[i] * (i == 0)
            if name == "sgd":
                first[i] = momentum * first[i] - lr * (gradient + pull)
                weights[i] = weights[i] + first[i]
                continue
            if name == "adamw":
                weights[i] = weights[i] - lr * pull
            else:
                gradient = gradient + pull
            first[i] = momentum * first[i] + (1 - momentum) * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            rate = lr * np.sqrt(1 - 0.999**t) / (1 - momentum**t)  # Kingma 2015, the end of section 2: epsilon beside the uncorrected root
            weights[i] = weights[i] - rate * first[i] / (np.sqrt(second[i]) + 1e-7)
    return weights


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("changes", [{}, {"decay": 0.3}, {"clip": 0.05}, {"decay": 0.3, "clip": 0.05, "momentum": 0.5}])
def test_every_optimizer_is_numpys(name, changes):
    model = linear()
    kernel, bias = model.get_weights()
    wanted = by_hand(name, [kernel[0, 0], bias], 5, **changes)
    names = {"decay": "weight_decay", "clip": "clip_norm", "momentum": "momentum"}
    settings = {names[key]: value for key, value in ({"clip": 0.0} | changes).items()}
    steps(model, OptimiserSettings(optimizer=name, **settings), 5)
    np.testing.assert_allclose(model.get_weights()[0][0, 0], wanted[0], atol=2e-5)
    np.testing.assert_allclose(model.get_weights()[1], wanted[1], atol=2e-5)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_batch_norm_biases_and_slopes_do_not_decay(name, precision):
    """With no gradient at all, what changes is what decays: the kernels."""
    keras.mixed_precision.set_global_policy(precision)
    model = linear(norm=True)
    for layer in model.layers:
        layer.set_weights([weight + 0.5 for weight in layer.get_weights()])
    before = {weight.name: weight.numpy() for weight in model.trainable_variables}
    optimizer = make_optimizer(OptimiserSettings(optimizer=name, weight_decay=0.1, precision=precision), model, 0.01)
    step = make_train_step(model, optimizer, lambda model, batch: 0.0 * tf.reduce_sum(model(batch["x"], training=True)))
    step({"x": tf.constant(X)})
    moved = {weight.name for weight in model.trainable_variables if not np.array_equal(before[weight.name], weight.numpy())}
    assert moved == {"enc_depthwise/depthwise_kernel:0", "head_conv/kernel:0"}
    kernel = before["head_conv/kernel:0"]
    wanted = {"adamw": kernel * (1 - 0.001), "sgd": kernel * (1 - 0.001), "adam": kernel - 0.01 * np.sign(kernel)}[name]
    np.testing.assert_allclose(model.get_layer("head_conv").get_weights()[0], wanted, atol=1e-5)
    assert {variable.name for variable in undecayed(model)} == set(before) - moved


@pytest.mark.parametrize("name", ["adam", "sgd"])
@pytest.mark.parametrize("changes", [{}, {"clip_norm": 0.05, "weight_decay": 0.1}, {"precision": "mixed_float16"}])
def test_three_parts_of_four_are_one_batch_of_twelve(name, changes):
    keras.mixed_precision.set_global_policy(changes.get("precision", "float32"))
    whole, parts = linear(), linear()
    losses = steps(whole, OptimiserSettings(optimizer=name, **changes), 4)
    np.testing.assert_allclose(steps(parts, OptimiserSettings(optimizer=name, accumulate=3, **changes), 4), losses, atol=1e-5)
    assert losses[-1] < losses[0]
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_batch_norm_sees_one_part_at_a_time():
    model = linear(norm=True)
    batch_norm, depthwise = model.get_layer("enc_bn"), model.get_layer("enc_depthwise")
    means = depthwise(X).numpy().reshape(3, -1, 3).mean(1)
    steps(model, OptimiserSettings(optimizer="sgd", accumulate=3), 1)
    wanted = np.zeros(3)
    for mean in means:
        wanted = 0.99 * wanted + 0.01 * mean
    np.testing.assert_allclose(batch_norm.moving_mean.numpy(), wanted, atol=1e-7)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_momentum_changes_from_step_to_step(name):
    """Momentum 0 in the third step: the step is that of a fresh gradient, so that it can be told from momentum 0.9."""
    ends = []
    for last in (0.9, 0.0):
        model = linear()
        settings = OptimiserSettings(optimizer=name, schedule="onecycle", cycle_momentum="0,0.9", clip_norm=0.0)
        optimizer = make_optimizer(settings, model, 0.1)
        step = make_train_step(model, optimizer, squares)
        for value in (0.9, 0.9, last):
            set_momentum(optimizer, value)
            before = [weight.astype(np.float64) for weight in model.get_weights()]
            step({"x": tf.constant(X), "mask": tf.constant(Y)})
        ends.append(model.get_weights())
    if name == "sgd":
        wanted = [before[0][0, 0], before[1]]
        wanted = [weight - 0.1 * gradient for weight, gradient in zip(wanted, gradients(*wanted), strict=True)]
        np.testing.assert_allclose(ends[1][0][0, 0], wanted[0], atol=1e-6)
    assert np.abs(ends[0][0] - ends[1][0]).max() > 1e-3
    np.testing.assert_allclose(ends[0][1], by_hand(name, [linear().get_weights()[0][0, 0], np.ones(2)], 3)[1], atol=2e-5)


def test_float16_halves_the_loss_scale_skips_the_step_and_can_go_on_from_there():
    keras.mixed_precision.set_global_policy("mixed_float16")
    settings = OptimiserSettings(precision="mixed_float16", clip_norm=1.0)
    model = linear()
    before = model.get_weights()
    optimizer = make_optimizer(settings, model, 0.1)
    step = make_train_step(model, optimizer, lambda model, batch: 1e36 * squares(model, batch))
    assert np.isfinite(float(step({"x": tf.constant(X), "mask": tf.constant(Y)})))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    fresh = make_optimizer(settings, model, 0.1)
    assert float(fresh.loss_scale) == 2 * float(optimizer.loss_scale) == 2**15
    for variable, value in zip(state_of(fresh), [variable.numpy() for variable in state_of(optimizer)], strict=True):
        variable.assign(value)
    assert float(fresh.loss_scale) == 2**14


def test_the_average_by_hand_batch_norm_statistics_too():
    model = linear(norm=True)
    average = Average(model, 0.25)
    wanted = [weight.astype(np.float64) for weight in model.get_weights()]
    step = make_train_step(model, make_optimizer(OptimiserSettings(), model, 0.1), squares, average=average)
    for number in range(1, 5):
        step({"x": tf.constant(X), "mask": tf.constant(Y)})
        decay = min(0.25, (1 + number) / (10 + number))  # 2/11, 3/12, then 0.25
        wanted = [decay * old + (1 - decay) * new for old, new in zip(wanted, model.get_weights(), strict=True)]
    raw = model.get_weights()
    with average.in_place():
        for found, by_numpy in zip(model.get_weights(), wanted, strict=True):
            np.testing.assert_allclose(found, by_numpy, atol=1e-6)
        assert not np.array_equal(model.get_layer("enc_bn").moving_mean.numpy(), raw[4])
    assert all(np.array_equal(a, b) for a, b in zip(raw, model.get_weights(), strict=True))


def test_the_weights_come_back_also_after_an_error():
    model = linear()
    average = Average(model, 0.9)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    raw = model.get_weights()
    with pytest.raises(ZeroDivisionError), average.in_place():
        raise ZeroDivisionError
    assert all(np.array_equal(a, b) for a, b in zip(raw, model.get_weights(), strict=True))


def test_several_beginnings_are_frozen_and_thawed_again():
    model = linear(norm=True)
    freeze(model, ("enc_bn", "head_"))
    assert {layer.name for layer in model.layers if layer.weights and layer.trainable} == {"enc_depthwise", "enc_prelu"}
    freeze(model, ())
    assert all(layer.trainable for layer in model.layers)


def test_what_cannot_be_frozen():
    with pytest.raises(InputError, match=r"starts with 'dec_'.*the names here start with enc_, head_"):
        freeze(linear(norm=True), ("enc_", "dec_"))
    with pytest.raises(InputError, match=r"with enc_\+head_ frozen nothing is left"):
        freeze(linear(norm=True), ("enc_", "head_"))
