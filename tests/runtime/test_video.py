"""A video model is fed its own last prob, by every runtime as numpy works it out."""

import numpy as np
import pytest

from portraitseg import archs
from portraitseg.archs import ArchSpec
from portraitseg.card import CAFFE, SYMMETRIC, UNIT, Card
from portraitseg.image import to_input
from portraitseg.runtime import Video, open_artifact

SIZE = 32
FRAMES = np.random.default_rng(5).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)
WEIGHTS = np.array([0.8, -0.5, 0.3, 3.0])


def one_layer(x, *, wm, classes):
    from tf_keras import layers

    return layers.Conv2D(classes, 1, use_bias=False, name="head_conv")(x)


def by_hand(spec):
    """Probs of the three frames: each is fed the one before, the first 0."""
    prior, probs = np.zeros((SIZE, SIZE)), []
    scale = np.array([60, 60, 60, 1]) if spec is CAFFE else 1
    for frame in FRAMES:
        x = (frame[..., :: -1 if spec.order == "bgr" else 1] - np.array(spec.mean)) / spec.std
        prior = 1 / (1 + np.exp(-np.dstack([x, prior]) @ (WEIGHTS / scale)))
        probs.append(prior)
    return probs


@pytest.fixture(params=[SYMMETRIC, CAFFE], ids=["rgb", "bgr"])
def net(request, monkeypatch):
    monkeypatch.setitem(archs.ARCHS, "one_layer", ArchSpec(builder=one_layer, size=SIZE, input=request.param, paper="-"))
    card = archs.new_card("one_layer", channels=4)
    model = archs.build(card)
    scale = np.array([60, 60, 60, 1]) if request.param is CAFFE else 1
    model.get_layer("head_conv").set_weights([(WEIGHTS / scale)[None, None, :, None]])
    return model, card, by_hand(request.param)


def test_the_prior_is_the_last_prob_and_a_cut_forgets_it(net, kind, write_as, tmp_path):
    model, card, expected = net
    runtime = open_artifact(write_as(kind, model, card, tmp_path))
    video = Video(runtime)
    assert np.abs(expected[1] - runtime(FRAMES[1])).max() > 0.3  # alone, the frame has another prob
    np.testing.assert_allclose([video(frame) for frame in FRAMES], expected, atol=1e-5)
    video.cut()
    np.testing.assert_allclose(video(FRAMES[0]), expected[0], atol=1e-5)
    np.testing.assert_allclose(video.run(to_input(FRAMES[1], video.card)), expected[1], atol=1e-5)
    np.testing.assert_allclose(video.run(FRAMES[2]), expected[2], atol=1e-5)


def test_a_model_of_three_channels_is_run_as_it_is():
    class Plain:
        card = Card(arch="plain", wm=1.0, size=(SIZE, SIZE), input=UNIT)

        def __call__(self, image):
            return image[..., 0] / np.float32(255)

        def run(self, x):
            return x[..., 1]

    video = Video(Plain())
    for frame in FRAMES:
        np.testing.assert_array_equal(video(frame), frame[..., 0] / np.float32(255))
        np.testing.assert_array_equal(video.run(frame), frame[..., 1])
