"""A net's encoder taught by another's: the loss against numpy's least squares, the range of what the teacher sees, a net that learns."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint
from portraitseg.card import CAFFE, Card
from portraitseg.errors import InputError
from portraitseg.losses.features import RIDGE, unexplained_variance
from portraitseg.training import start
from portraitseg.training.config import TrainConfig
from portraitseg.training.features import EncoderTeacher, features_of
from portraitseg.training.objective import make_objective
from portraitseg.training.settings import LossSettings, TeacherSettings
from portraitseg.training.views import as_input

RANDOM = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def test_the_loss_is_what_ridge_regression_leaves():
    student, teacher = draw(2, 5, 4, 3), draw(2, 5, 4, 6) * 7 + 3
    x, y = (values.reshape(40, -1).astype(float) for values in (student, teacher))
    x, y = x - x.mean(0), (y - y.mean(0)) / y.std(0)
    ridge = np.sqrt(RIDGE * (x * x).sum() / 3)  # as rows of its own, least squares become ridge regression
    best, *_ = np.linalg.lstsq(np.vstack([x, ridge * np.eye(3)]), np.vstack([y, np.zeros((3, 6))]), rcond=None)
    wanted = ((y - x @ best) ** 2).sum() / (y**2).sum()
    assert float(unexplained_variance(student, teacher)) == pytest.approx(wanted, rel=1e-4)
    assert 0.8 < wanted < 1


def test_a_linear_map_explains_all_and_noise_nothing():
    student = draw(4, 10, 10, 8)
    assert float(unexplained_variance(student, student @ draw(8, 5))) < 1e-3
    assert float(unexplained_variance(1000 * student + 5, student @ draw(8, 5))) < 1e-3
    assert float(unexplained_variance(student, draw(4, 10, 10, 5))) > 0.95
    assert float(unexplained_variance(student, np.ones((4, 10, 10, 5), np.float32))) == 0


def test_the_teachers_features_get_no_gradient():
    student, teacher = tf.constant(draw(1, 4, 4, 3)), tf.constant(draw(1, 4, 4, 3))
    with tf.GradientTape() as tape:
        tape.watch([student, teacher])
        value = unexplained_variance(student, teacher)
    towards, none = tape.gradient(value, [student, teacher])
    assert none is None and np.isfinite(towards).all() and np.abs(towards).max() > 0


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A net with random weights, and the batch norm statistics of a net that has seen pictures."""
    keras.utils.set_random_seed(3)
    card = archs.new_card("munet_mnv2_transition", size=64)
    model = archs.build(card)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8
    see = tf.function(functools.partial(model, training=True))
    for _ in range(40):
        see(tf.constant(RANDOM.uniform(-1, 1, (4, 64, 64, 3)), tf.float32))
    path = tmp_path_factory.mktemp("teacher") / "best.h5"
    checkpoint.save(model, card, path)
    return path


def test_features_by_stride(teacher):
    shapes = {stride: tuple(tensor.shape[1:]) for stride, tensor in features_of(checkpoint.load(teacher)[0]).items()}
    assert shapes == {4: (16, 16, 48), 8: (8, 8, 96), 16: (4, 4, 192), 32: (2, 2, 112)}
    assert set(features_of(archs.build(archs.new_card("prisma_net", size=64)))) == {4, 8, 16}


def test_the_teacher_sees_the_pictures_in_its_own_range(teacher):
    """The student's input is BGR with means, the teacher's RGB from -1 to 1."""
    picture = RANDOM.integers(0, 256, (1, 64, 64, 3)).astype(np.float32)
    card = dataclasses.replace(archs.new_card("portrait_nano_s", size=64), input=CAFFE)
    watched = EncoderTeacher(teacher, archs.build(card), card)
    x = tf.constant((picture[..., ::-1] - np.array(CAFFE.mean)) / np.array(CAFFE.std), tf.float32)
    np.testing.assert_allclose(as_input(x, CAFFE, checkpoint.read_card(teacher)), picture / 127.5 - 1, atol=1e-5)
    heads, loss = watched.forward(x)
    assert list(heads) == ["logits", "side"] and heads["logits"].shape == (1, 64, 64, 1)
    assert watched.strides == [4, 8, 16, 32] and 0 < float(loss) < 1


@pytest.mark.slow
def test_a_net_that_has_the_teachers_encoder_has_nothing_to_learn(teacher):
    model, card = checkpoint.load(teacher)
    x = tf.constant(RANDOM.uniform(-1, 1, (4, 64, 64, 3)), tf.float32)
    same = float(EncoderTeacher(teacher, model, card).forward(x)[1])
    keras.utils.set_random_seed(9)
    other = float(EncoderTeacher(teacher, archs.build(card), card).forward(x)[1])
    assert same < 0.15 < other / 2


def test_a_file_teaches_as_its_checkpoint_does(tmp_path):
    path = Path(__file__).parents[2] / "models/portrait_nano_s-wm100-160-fp16.tflite"
    restored, card = start.trained(path)
    checkpoint.save(restored, card, tmp_path / "best.h5")
    x = tf.constant(RANDOM.uniform(-1, 1, (2, 64, 64, 3)), tf.float32)
    keras.utils.set_random_seed(9)
    student = archs.build(small := dataclasses.replace(card, size=(64, 64)))
    of_file, of_checkpoint = (float(EncoderTeacher(teacher, student, small).forward(x)[1]) for teacher in (path, tmp_path / "best.h5"))
    assert of_file == pytest.approx(of_checkpoint, rel=1e-4) and of_file > 0.1


@pytest.mark.slow
def test_the_objective_adds_it_and_training_brings_the_encoder_nearer(teacher):
    keras.utils.set_random_seed(1)
    card: Card = archs.new_card("munet_mnv3_transition", size=64)
    model = archs.build(card)
    watched = EncoderTeacher(teacher, model, card)
    batch = {"x": tf.constant(RANDOM.uniform(-1, 1, (4, 64, 64, 3)), tf.float32), "mask": tf.constant(draw(4, 64, 64, 1) > 0, tf.float32)}
    settings = LossSettings(loss="bce=1")
    with_, without = (
        make_objective(settings, TeacherSettings(encoder_weight=50.0), card=card, encoder_teacher=found) for found in (watched, None)
    )
    before = float(watched.forward(batch["x"])[1])
    assert float(with_(model, batch)) == pytest.approx(float(without(model, batch)) + 50 * before, rel=1e-3)
    optimizer = keras.optimizers.Adam(3e-3)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = with_(model, batch)
        optimizer.apply_gradients(zip(tape.gradient(value, model.trainable_variables), model.trainable_variables, strict=True))

    teachers = [weight.numpy() for weight in watched.teacher.weights]
    for _ in range(8):
        step()
    assert float(watched.forward(batch["x"])[1]) < 0.95 * before
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(teachers, watched.teacher.weights, strict=True))


def test_what_cannot_teach_is_refused(teacher, tmp_path):
    card = archs.new_card("portrait_nano_s", size=64)
    plain = keras.Sequential([keras.layers.Conv2D(1, 1, input_shape=(64, 64, 3))])
    with pytest.raises(InputError, match="no checkpoint"):
        EncoderTeacher(tmp_path / "none.h5", plain, card)
    with pytest.raises(InputError, match="no resolution in common"):
        EncoderTeacher(teacher, plain, card)
    for changes in ({"qat": ("best.h5",)}, {"strategy": "mirrored"}):
        with pytest.raises(InputError, match="--encoder-teacher is for float training on one device"):
            TrainConfig(encoder_teacher=teacher, **changes).plan()
    with pytest.raises(InputError, match="--encoder-weight concerns an encoder that teaches"):
        TeacherSettings(encoder_weight=2.0).check_teaching()
