"""Nets that teach what they see in each sample: their prob by another runtime, the loss by numpy, what a run keeps of it."""

import dataclasses
import functools
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from portraitseg import archs, checkpoint, image
from portraitseg.card import CAFFE
from portraitseg.errors import InputError
from portraitseg.training.config import TrainConfig
from portraitseg.training.objective import make_objective
from portraitseg.training.settings import LossSettings, TeacherSettings
from portraitseg.training.views import ViewTeachers

MODELS = Path(__file__).parents[2] / "models"
SELFIE, NANO = MODELS / "selfie_net-wm100-160-fp16.tflite", MODELS / "portrait_nano_s-wm100-160-fp16.tflite"
"""One takes pictures in [0,1], the other in [-1,1]."""
PHOTO = image.read(MODELS.parent / "portraitseg/assets/astronaut.jpg")
PICTURES = np.stack([cv2.resize(part, (160, 160), interpolation=cv2.INTER_AREA) for part in (PHOTO, PHOTO[:400, 50:450])])


def student(size=160):
    """A card whose input is BGR with means, unlike either teacher's."""
    return dataclasses.replace(archs.new_card("portrait_nano_s", size=size), input=CAFFE)


@functools.cache
def selfie_at_64():
    return ViewTeachers([SELFIE], student(64))


def fed(card, pictures):
    order = slice(None, None, -1) if card.input.order == "bgr" else slice(None)
    return ((pictures[..., order] - np.array(card.input.mean)) / np.array(card.input.std)).astype(np.float32)


def logits(path, pictures):
    """What LiteRT gives, float64."""
    net = Interpreter(str(path))
    net.allocate_tensors()
    probs = []
    for x in pictures / np.float32(255) if path == SELFIE else pictures / np.float32(127.5) - 1:
        net.set_tensor(net.get_input_details()[0]["index"], x[None].astype(np.float32))
        net.invoke()
        probs.append(net.get_tensor(net.get_output_details()[0]["index"]).reshape(160, 160, 1).astype(float))
    prob = np.clip(probs, 1e-7, 1 - 1e-7)
    return np.log(prob) - np.log1p(-prob)


def test_they_teach_the_prob_of_their_mean_logit_over_both_views():
    wanted = np.mean([logits(path, PICTURES) + logits(path, PICTURES[:, :, ::-1])[:, :, ::-1] for path in (SELFIE, NANO)], axis=0) / 2
    seen = ViewTeachers([SELFIE, NANO], student()).prob(tf.constant(fed(student(), PICTURES))).numpy()
    assert seen.shape == (2, 160, 160, 1) and 0.2 < (seen > 0.5).mean() < 0.8
    np.testing.assert_allclose(seen, 1 / (1 + np.exp(-wanted)), atol=0.02)
    assert np.abs(seen - 1 / (1 + np.exp(-wanted))).mean() < 1e-3


def test_each_is_asked_for_both_views():
    """Pictures and their mirror images get mirrored probs, which a net alone does not give."""
    teachers = ViewTeachers([NANO], student())
    there, mirrored = (teachers.prob(tf.constant(fed(student(), pictures))).numpy() for pictures in (PICTURES, PICTURES[:, :, ::-1]))
    np.testing.assert_allclose(there, mirrored[:, :, ::-1], atol=1e-4)
    assert np.abs(logits(NANO, PICTURES) - logits(NANO, PICTURES[:, :, ::-1])[:, :, ::-1]).max() > 0.5


def test_the_objective_adds_the_divergence_from_them(tmp_path):
    keras.utils.set_random_seed(1)
    card = student(64)
    model = archs.build(card)
    before, at_size = student(), selfie_at_64()
    assert before.size == (160, 160)
    mask = tf.constant(np.random.default_rng(0).integers(0, 2, (2, 64, 64, 1)), tf.float32)
    batch = {"x": tf.constant(fed(card, PICTURES[:, ::2, ::2][:, :64, :64])), "mask": mask}
    values = [
        make_objective(LossSettings(loss="bce=1"), TeacherSettings(view_teacher=(SELFIE,), distill_weight=weight), view_teachers=given)
        for weight, given in ((1.0, None), (3.0, at_size))
    ]
    without, with_ = (float(objective(model, batch)) for objective in values)
    t = 2.0
    q = 1 / (1 + np.exp(-_logit(at_size.prob(batch["x"]).numpy()) / t))
    p = 1 / (1 + np.exp(-model(batch["x"], training=True)[0].numpy().astype(float) / t))
    divergence = t**2 * (q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))).mean()
    assert with_ - without == pytest.approx(3 * divergence, rel=1e-3) and divergence > 0.01


def _logit(prob):
    prob = np.clip(prob.astype(float), 1 / 510, 1 - 1 / 510)
    return np.log(prob) - np.log1p(-prob)


def test_they_are_not_trained():
    keras.utils.set_random_seed(1)
    card = student(64)
    model, teachers = archs.build(card), selfie_at_64()
    objective = make_objective(LossSettings(loss="bce=1"), TeacherSettings(view_teacher=(SELFIE,)), view_teachers=teachers)
    batch = {"x": tf.constant(fed(card, PICTURES[:, :64, :64])), "mask": tf.ones((2, 64, 64, 1))}
    held = [weight for net, _ in teachers.teachers for weight in net.weights]
    before = [weight.numpy() for weight in held]
    with tf.GradientTape() as tape:
        value = objective(model, batch)
    assert tape.gradient(value, [weight for weight in held if weight.trainable]) == [None] * sum(weight.trainable for weight in held)
    assert all(np.array_equal(old, new.numpy()) for old, new in zip(before, held, strict=True))


def test_a_checkpoint_teaches_as_its_file_does(tmp_path):
    from portraitseg.training.start import trained

    model, card = trained(NANO)
    checkpoint.save(model, card, tmp_path / "best.h5")
    x = tf.constant(fed(student(), PICTURES))
    of_file, of_checkpoint = (ViewTeachers([path], student()).prob(x).numpy() for path in (NANO, tmp_path / "best.h5"))
    np.testing.assert_allclose(of_file, of_checkpoint, atol=1e-5)


def test_a_run_keeps_them(tmp_path):
    config = TrainConfig(view_teacher=(SELFIE, NANO), distill_weight=2.0)
    config.plan()
    config.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == config


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"view_teacher": (SELFIE,), "teacher": (NANO,)}, "by --teacher or by --view-teacher, not by both"),
        ({"view_teacher": (SELFIE,), "teacher_input_range": "0..1"}, "--teacher-input-range concerns a teacher of another project"),
        ({"view_teacher": (SELFIE,), "strategy": "mirrored"}, "--view-teacher is for training on one device"),
        ({"distill_weight": 2.0}, "give --teacher or --view-teacher MODEL too"),
    ],
)
def test_what_does_not_go_together(settings, told):
    config = TrainConfig(**settings)
    with pytest.raises(InputError, match=told):
        config.check_teaching()
        config.plan()


def test_what_cannot_teach_is_refused(tmp_path):
    quantized = MODELS / "selfie_net-wm100-160-int8.tflite"
    for path, told in ((quantized, "is int8"), (tmp_path / "none.h5", r"none\.h5"), (tmp_path / "none.tflite", r"none\.tflite")):
        with pytest.raises(InputError, match=f"cannot use --view-teacher .*{told}.*; it takes float checkpoints"):
            ViewTeachers([path], student())
