"""The loss against a teacher: its value and gradient by NumPy in float64, its temperature, its edge band, its ends."""

import numpy as np
import pytest
import tensorflow as tf

from portraitseg.losses.distillation import distillation_loss

random = np.random.default_rng(0)
TEACHER = random.uniform(0.01, 0.99, (2, 12, 10, 1)).astype(np.float32)
LOGITS = random.normal(0, 2, (2, 12, 10, 1)).astype(np.float32)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def divergence(teacher, logits, temperature):
    """KL(teacher || student) of two coins, times T squared."""
    q = sigmoid(np.log(teacher / (1 - teacher)) / temperature)
    p = sigmoid(logits / temperature)
    return temperature**2 * (q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)))


def edge(teacher):
    """By loops: pixels with a pixel above and one below 0.5 within two rows and columns."""
    out = np.zeros_like(teacher)
    for index in np.ndindex(teacher.shape[:3]):
        picture, row, column = index
        around = teacher[picture, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] >= 0.5
        out[index] = around.any() and not around.all()
    return out


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("boundary", [0.0, 3.0])
def test_value_is_numpys(temperature, boundary):
    teacher = TEACHER.astype(float)
    teacher[0, :, :5], teacher[1] = 0.9, 0.97  # a plain edge, and a picture without one
    weight = 1 + boundary * np.maximum(edge(teacher), 4 * teacher * (1 - teacher))
    wanted = (weight * divergence(teacher, LOGITS.astype(float), temperature)).sum() / weight.sum()
    found = distillation_loss(tf.constant(teacher, tf.float32), tf.constant(LOGITS), temperature=temperature, boundary=boundary)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_by_hand():
    """A teacher of 0.8 against 0.5: 0.8 ln 1.6 + 0.2 ln 0.4 = 0.1927; at T 2 q is 2/3: 4 (2/3 ln 4/3 + 1/3 ln 2/3) = 0.2265."""
    teacher, logits = tf.constant([[[[0.8]]]]), tf.zeros((1, 1, 1, 1))
    assert float(distillation_loss(teacher, logits)) == pytest.approx(0.192745, abs=1e-5)
    assert float(distillation_loss(teacher, logits, temperature=2.0)) == pytest.approx(0.226531, abs=1e-5)


def test_gradient_is_the_softened_difference_times_the_temperature():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = distillation_loss(tf.constant(TEACHER), logits, temperature=2.0)
    teacher = TEACHER.astype(float)
    wanted = 2.0 * (sigmoid(LOGITS / 2.0) - sigmoid(np.log(teacher / (1 - teacher)) / 2)) / LOGITS.size
    np.testing.assert_allclose(tape.gradient(value, logits).numpy(), wanted, rtol=1e-4, atol=1e-8)


def test_nothing_is_left_where_the_student_is_the_teacher():
    logits = np.log(TEACHER / (1 - TEACHER))
    for temperature in (1.0, 3.0):
        assert float(distillation_loss(tf.constant(TEACHER), tf.constant(logits), temperature=temperature)) == pytest.approx(0, abs=1e-6)


def test_a_sure_teacher_gives_finite_numbers_and_small_ones_to_a_student_that_agrees():
    teacher = np.zeros((1, 4, 4, 1), np.float32)
    teacher[0, 2:] = 1
    for logits in (40.0 * (2 * teacher - 1), -40.0 * (2 * teacher - 1)):
        value = tf.Variable(logits)
        with tf.GradientTape() as tape:
            loss = distillation_loss(tf.constant(teacher), value)
        assert np.isfinite(tape.gradient(loss, value).numpy()).all()
        assert (float(loss) < 0.1) == (logits[0, 0, 0, 0] < 0)


def test_two_classes_and_half_precision():
    both = np.concatenate([LOGITS * 0.25, LOGITS * 1.25], -1)
    one = distillation_loss(tf.constant(TEACHER), tf.constant(LOGITS), temperature=2.0)
    assert float(distillation_loss(tf.constant(TEACHER), tf.constant(both), temperature=2.0)) == pytest.approx(float(one), rel=1e-5)
    half = distillation_loss(tf.constant(TEACHER), tf.constant(LOGITS, tf.float16), temperature=2.0)
    assert half.dtype == tf.float32
    assert float(half) == pytest.approx(float(one), rel=1e-2)
