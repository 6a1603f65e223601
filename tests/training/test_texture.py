"""The texture enhancement against Pillow and OpenCV, and that it can be replayed."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from portraitseg.card import CAFFE, IMAGENET, SYMMETRIC, UNIT, Card
from portraitseg.training import texture

random = np.random.default_rng(0)
NOISY = random.integers(40, 200, (6, 24, 28, 3)).astype(np.uint8)
SMOOTH = np.stack([cv2.GaussianBlur(picture, (0, 0), 3) for picture in NOISY])


def card(input_spec=SYMMETRIC, channels=3):
    return Card(arch="-", wm=1.0, size=(24, 28), input=input_spec, channels=channels)


@pytest.fixture(scope="module")
def enhance():
    return texture._make_enhance()


def fixed(monkeypatch, *factors):
    """Let the draws be these, in turn."""
    left = iter(factors)
    monkeypatch.setattr(texture, "_draw", lambda rgb, low, high: tf.fill((len(rgb), 1, 1, 1), np.float32(next(left))))


@pytest.mark.parametrize(
    ("place", "enhancer"),
    [(0, ImageEnhance.Color), (1, ImageEnhance.Brightness), (3, ImageEnhance.Sharpness)],
    ids=["colour", "light", "sharp"],
)
@pytest.mark.parametrize("factor", [0.4, 1.6])
def test_each_enhancement_is_pillows(enhance, monkeypatch, place, enhancer, factor):
    factors = [1.0] * 4
    factors[place] = factor
    fixed(monkeypatch, *factors)
    found = enhance(tf.cast(NOISY, tf.float32)).numpy()
    wanted = np.stack([np.asarray(enhancer(Image.fromarray(picture)).enhance(factor)) for picture in NOISY])
    np.testing.assert_allclose(found, wanted, atol=1.7)  # Pillow rounds to bytes on the way
    assert np.abs(wanted.astype(float) - NOISY).max() > 10


def test_contrast_is_about_each_channels_mean(enhance, monkeypatch):
    fixed(monkeypatch, 1.0, 1.0, 0.6, 1.0)
    mean = NOISY.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(enhance(tf.cast(NOISY, tf.float32)), mean + 0.6 * (NOISY - mean), atol=1e-2)


def test_the_four_enhancements_come_in_pillows_order_and_stay_in_range(enhance, monkeypatch):
    """Bright pictures: each step clips, so that another order would give another picture."""
    fixed(monkeypatch, 1.6, 1.6, 1.4, 1.2)
    bright = SMOOTH + np.uint8([50, 10, 0])
    found = enhance(tf.cast(bright, tf.float32)).numpy()
    wanted = []
    for picture in bright:
        changed = np.asarray(ImageEnhance.Brightness(ImageEnhance.Color(Image.fromarray(picture)).enhance(1.6)).enhance(1.6)).astype(float)
        changed = (changed.mean((0, 1)) + 1.4 * (changed - changed.mean((0, 1)))).clip(0, 255).round().astype(np.uint8)
        wanted.append(np.asarray(ImageEnhance.Sharpness(Image.fromarray(changed)).enhance(1.2)))
    np.testing.assert_allclose(found, np.stack(wanted), atol=6)  # four roundings, each enlarged by the changes that follow
    assert np.abs(found - np.stack(wanted)).mean() < 2
    assert found.min() >= 0
    assert found.max() <= 255


@pytest.mark.parametrize(
    ("draw", "opencv"),
    [
        (0.1, lambda x: cv2.GaussianBlur(x, (3, 3), 0)),
        (0.3, lambda x: cv2.GaussianBlur(x, (5, 5), 0)),
        (0.6, lambda x: cv2.blur(x, (3, 3))),
        (0.99, lambda x: cv2.blur(x, (5, 5))),
    ],
)
def test_blurs_are_opencvs(monkeypatch, draw, opencv):
    fixed(monkeypatch, draw)
    pictures = NOISY.astype(np.float32)
    np.testing.assert_allclose(texture.blur(tf.constant(pictures)), [opencv(picture) for picture in pictures], atol=1e-3)


def test_blurs_come_as_often_as_they_should():
    pictures = np.tile(NOISY[:1], (700, 1, 1, 1)).astype(np.float32)
    tf.random.get_global_generator().reset_from_seed(3)
    blurred = texture.blur(tf.constant(pictures)).numpy()
    counts = np.unique(blurred[:, 12, 12, 0].round(3), return_counts=True)[1]
    assert sorted(counts) == pytest.approx([150, 150, 200, 200], abs=45)


def test_noise_has_the_drawn_strength_and_comes_for_each_value(monkeypatch):
    fixed(monkeypatch, 8.0)
    tf.random.get_global_generator().reset_from_seed(1)
    noise = texture.add_noise(tf.fill((8, 64, 64, 3), 128.0)).numpy() - 128
    assert noise.std() == pytest.approx(8, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.1)
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.03
    fixed(monkeypatch, 8.0)
    assert texture.add_noise(tf.fill((8, 64, 64, 3), 253.0)).numpy().max() == 255


def test_draws_are_one_a_picture_within_their_range():
    draws = texture._draw(tf.zeros((500, 2, 2, 3)), *texture.SATURATION).numpy()
    assert draws.shape == (500, 1, 1, 1)
    assert 0.4 <= draws.min() < 0.45
    assert 1.55 < draws.max() <= 1.6


def test_each_change_comes_half_of_the_time():
    changed = texture.sometimes(lambda x: x + 1, tf.zeros((1000, 1, 1, 1))).numpy()
    assert 430 < changed.sum() < 570


def prepared(bytes_, spec, channels=3):
    ordered = bytes_[..., ::-1] if spec.order == "bgr" else bytes_
    x = ((ordered.astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.std)).astype(np.float32)
    prior = random.uniform(size=(*x.shape[:3], channels - 3)).astype(np.float32)
    return np.concatenate([x, prior], -1)


@pytest.mark.parametrize("spec", [UNIT, IMAGENET, CAFFE], ids=["unit", "imagenet", "bgr"])
def test_any_range_and_order_sees_the_same_change_and_the_prior_none(spec):
    views = []
    for chosen in (SYMMETRIC, spec):
        change, x = texture.make_texture(card(chosen, 4)), prepared(NOISY, chosen, 4)
        tf.random.get_global_generator().reset_from_seed(5)
        view = change(tf.constant(x)).numpy()
        np.testing.assert_array_equal(view[..., 3], x[..., 3])
        rgb = view[..., :3] * chosen.std + chosen.mean
        views.append(rgb[..., ::-1] if chosen.order == "bgr" else rgb)
    np.testing.assert_allclose(views[0], views[1], atol=0.02)
    assert np.abs(views[0] - NOISY).mean() > 5


def test_colours_then_blur_then_noise(enhance, monkeypatch):
    """With every draw the same number; a box of 5 pixels for the blur, and the noise of the generator's state."""
    monkeypatch.setattr(texture, "_draw", lambda rgb, low, high: tf.fill((len(rgb), 1, 1, 1), 0.45 + 0.5 * (high > 5)))
    monkeypatch.setattr(texture, "SHARES", np.array([0.0, 0.0, 0.0, 1.0]))
    monkeypatch.setattr(texture, "_make_enhance", lambda: enhance)
    generator = tf.random.get_global_generator()
    generator.reset_from_seed(9)
    found = 127.5 * texture.make_texture(card())(tf.constant(prepared(NOISY, SYMMETRIC))).numpy() + 127.5
    generator.reset_from_seed(9)
    noise = generator.normal(NOISY.shape).numpy()
    blurred = [cv2.blur(picture, (5, 5)) for picture in enhance(tf.cast(NOISY, tf.float32)).numpy()]
    np.testing.assert_allclose(found, (np.stack(blurred) + 0.95 * noise).clip(0, 255), atol=1e-2)


def test_a_picture_that_no_change_falls_on_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(texture, "PROBABILITY", 0.0)
    x = prepared(NOISY, IMAGENET)
    np.testing.assert_allclose(texture.make_texture(card(IMAGENET))(tf.constant(x)), x, atol=1e-5)


def test_the_generators_state_is_all_that_a_view_depends_on():
    """In a compiled graph: from the same state the same two views, another state another view, each of two calls its own."""
    change, x = tf.function(texture.make_texture(card())), tf.constant(prepared(NOISY, SYMMETRIC))
    generator = tf.random.get_global_generator()
    generator.reset_from_seed(7)
    change(x)
    state = generator.state.numpy()
    first = [change(x).numpy() for _ in range(2)]
    change(x)
    tf.random.uniform((3,))
    generator.state.assign(state)
    again = [tf.function(texture.make_texture(card()))(x).numpy(), change(x).numpy()]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])


def test_mixed_precision_leaves_the_view_in_single(monkeypatch):
    import tf_keras as keras

    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        change, x = texture.make_texture(card()), tf.constant(prepared(NOISY, SYMMETRIC))
        tf.random.get_global_generator().reset_from_seed(5)
        half = change(x)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    tf.random.get_global_generator().reset_from_seed(5)
    np.testing.assert_array_equal(half, texture.make_texture(card())(x))
