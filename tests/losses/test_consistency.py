"""The divergence between two views against a number worked by hand and against numpy's softmax."""

import numpy as np
import pytest
import tensorflow as tf

from portraitseg import losses


def numpy_kl(teacher, student, temperature):
    """PortraitNet's: per-element mean of softmax(t)(log softmax(t) - log softmax(s)) over two channels, times T^2."""

    def log_softmax(logits):
        logits = logits.astype(np.float64) / temperature
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    t, s = log_softmax(teacher), log_softmax(student)
    return temperature**2 * (np.exp(t) * (t - s)).mean()


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_against_numpy_with_one_and_two_channels(temperature):
    random = np.random.default_rng(0)
    teacher, student = (2 * random.normal(size=(2, 4, 5, 2)).astype(np.float32) for _ in range(2))
    wanted = numpy_kl(teacher, student, temperature)
    assert float(losses.consistency_loss(teacher, student, temperature=temperature)) == pytest.approx(wanted, rel=1e-5)
    one = [logits[..., 1:] - logits[..., :1] for logits in (teacher, student)]
    assert float(losses.consistency_loss(*one, temperature=temperature)) == pytest.approx(wanted, rel=1e-5)


def test_by_hand():
    """Teacher 3/4, student 1/2: 3/4 ln(3/2) + 1/4 ln(1/2), halved as the mean over two classes."""
    teacher, student = tf.fill((1, 2, 2, 1), np.float32(np.log(3))), tf.zeros((1, 2, 2, 1))
    assert float(losses.consistency_loss(teacher, student)) == pytest.approx((0.75 * np.log(1.5) + 0.25 * np.log(0.5)) / 2, rel=1e-5)


def test_it_is_zero_for_equal_views_and_finite_for_opposite_ones():
    logits = tf.constant([[[[200.0], [-200.0], [0.3]]]])
    assert float(losses.consistency_loss(logits, logits)) == pytest.approx(0, abs=1e-6)
    assert float(losses.consistency_loss(logits, -logits)) == pytest.approx(
        400 / 6 * 2 / 2 + 0.3 * (2 / (1 + np.exp(-0.3)) - 1) / 6, rel=1e-4
    )


def test_the_original_view_teaches_and_does_not_learn():
    """The student's slope is T (p_s - p_t) / 2 over the pixels, the teacher's is none."""
    teacher, student = tf.constant([[[[1.0], [-2.0]]]]), tf.constant([[[[0.5], [0.3]]]])
    with tf.GradientTape() as tape:
        tape.watch([teacher, student])
        value = losses.consistency_loss(teacher, student, temperature=2.0)
    of_teacher, of_student = tape.gradient(value, [teacher, student])
    assert of_teacher is None
    np.testing.assert_allclose(of_student, 2 * (tf.sigmoid(student / 2) - tf.sigmoid(teacher / 2)) / 2 / 2, rtol=1e-5)
