"""The temperature of logits that are too sure."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg.training import temperature


def net(weight: float, *, classes: int = 1) -> keras.Model:
    """Logits `weight` times the picture's one channel, in the last of the classes."""
    image = keras.Input((2, 2, 1))
    head = keras.layers.Conv2D(classes, 1, name="head_conv")(image)
    model = keras.Model(image, keras.layers.Activation("linear", name="logits")(head))
    kernel = np.zeros((1, 1, 1, classes), np.float32)
    kernel[..., -1] = weight
    model.get_layer("head_conv").set_weights([kernel, np.zeros(classes, np.float32)])
    return model


def batch(right: int, wrong: int) -> dict[str, tf.Tensor]:
    """Pictures of ones, whose person is all of them, and as many as are wrong, of nobody."""
    count = right + wrong
    mask = np.zeros((count, 2, 2, 1), np.float32)
    mask[:right] = 1
    return {"x": tf.ones((count, 2, 2, 1)), "mask": tf.constant(mask)}


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize(("right", "wrong", "logit"), [(3, 1, np.log(3)), (9, 1, np.log(9))])
def test_the_prob_becomes_the_share_that_is_right(right, wrong, logit, classes):
    """Of the same logit 100 everywhere cross-entropy is least where its sigmoid is the share of pixels that are person."""
    model = net(100, classes=classes)
    found = temperature.scale(model, [batch(right, wrong)])
    step = 2 ** (1 / 8)  # half of one between two temperatures
    assert 100 / logit / step <= found <= 100 / logit * step
    assert float(model.get_layer("head_conv").kernel[0, 0, 0, -1]) == pytest.approx(100 / found)


def test_pictures_without_a_mask_are_not_asked():
    model, given = net(100), batch(3, 1)
    labelled = {**given, "labelled": tf.constant([True, True, True, False])}
    assert temperature.scale(model, [labelled]) == temperature.TEMPERATURES[0]  # all are right: no logit is too large
