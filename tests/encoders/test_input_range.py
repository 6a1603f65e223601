"""The first convolution in another range: the same outputs for the same picture, by hand and by Keras."""

import numpy as np
import pytest
import tf_keras as keras

from portraitseg.card import CAFFE, IMAGENET, RAW, SYMMETRIC, UNIT, InputSpec
from portraitseg.encoders import input_range

BGR = InputSpec(mean=(103.94, 116.78, 123.68), std=(58.8, 58.8, 58.8), order="bgr")
PICTURE = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3)).astype(np.float32)


def shown(spec: InputSpec) -> np.ndarray:
    """The picture as a net gets it."""
    picture = PICTURE if spec.order == "rgb" else PICTURE[..., ::-1]
    return (picture - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)


def net(bias: bool, channels: int = 3) -> keras.Model:
    image = keras.Input((16, 16, channels))
    x = keras.layers.Conv2D(4, 3, padding="valid", use_bias=bias, name="enc_a")(image)
    return keras.Model(image, keras.layers.BatchNormalization(name="enc_b")(x))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("have", "want"), [(SYMMETRIC, BGR), (IMAGENET, UNIT), (CAFFE, SYMMETRIC), (RAW, CAFFE), (BGR, IMAGENET)])
def test_the_same_picture_gives_the_same(bias, have, want):
    random = np.random.default_rng(1)
    source = {"a/kernel": random.normal(size=(3, 3, 3, 4)), **({"a/bias": random.normal(size=4)} if bias else {})}
    source |= {f"b/{kind}": random.uniform(0.5, 1, 4) for kind in ("gamma", "beta", "moving_mean", "moving_variance")}
    outputs = []
    for spec, weights in ((have, source), (want, input_range.convert(source, net(bias).layers[1], prefix="enc_", have=have, want=want))):
        model = net(bias)
        model.set_weights([weights[f"{layer.name[4:]}/{w.name.split('/')[1][:-2]}"] for layer in model.layers[1:] for w in layer.weights])
        outputs.append(model(shown(spec)).numpy())
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-3, atol=1e-3 * np.abs(outputs[0]).max())


def test_by_hand():
    """x in [0,1] is twice as much, less 1, in [-1,1]: the kernel doubles, and its sum, 27, comes off the output."""
    source = {"a/kernel": np.ones((3, 3, 3, 1)), "b/moving_mean": np.array([5.0])}
    found = input_range.convert(source, net(False).layers[1], prefix="enc_", have=SYMMETRIC, want=UNIT)
    np.testing.assert_allclose(found["a/kernel"], 2)
    np.testing.assert_allclose(found["b/moving_mean"], 5 + 27)


def test_the_prior_stays_as_it_is():
    kernel = np.random.default_rng(1).normal(size=(3, 3, 4, 4))
    found = input_range.convert({"a/kernel": kernel}, net(True, 4).layers[1], prefix="enc_", have=SYMMETRIC, want=BGR)
    np.testing.assert_array_equal(found["a/kernel"][:, :, 3], kernel[:, :, 3])
    np.testing.assert_allclose(found["a/kernel"][:, :, 0], kernel[:, :, 2] * 58.8 / 127.5)
    assert found["a/bias"].shape == (4,)


@pytest.mark.parametrize("source", [{}, {"a/kernel": np.ones((3, 3, 3, 4))}])
def test_nothing_to_do(source):
    want = SYMMETRIC if source else BGR
    assert input_range.convert(source, net(True).layers[1], prefix="enc_", have=SYMMETRIC, want=want) is source
