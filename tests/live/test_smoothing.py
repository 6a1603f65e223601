"""Smoothing on drawn clips: what is steadied, what must not lag, what begins anew. Numbers are worked by hand or in plain Python."""

import itertools
import math

import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.live.smoothing import SMOOTHERS, smoother
from portraitseg.live.smoothing.one_euro import OneEuro

KINDS = [name for name in SMOOTHERS if name != "none"]
F32 = np.float32
STEP = 1 / 30


def texture(height=120, width=160, seed=0):
    """A picture (H,W,3) in which any motion can be seen."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(F32)
    grey = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 60, 200, cv2.NORM_MINMAX).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def flat(value, size=(48, 64)):
    return np.full(size, value, F32)


def play(name, probs, images, *, step=STEP, strength=0.5):
    steady = smoother(name, strength)
    return [steady(prob, image, index * step) for index, (prob, image) in enumerate(zip(probs, images, strict=True))]


def noisy(count, seed=1):
    """Probs (48,64) from 0.4 to 0.6 whose noise is new in each frame."""
    return list(np.random.default_rng(seed).uniform(0.4, 0.6, (count, 48, 64)).astype(F32))


@pytest.mark.parametrize("name", SMOOTHERS)
def test_what_does_not_change_is_left_as_it_is(name):
    prob = np.random.default_rng(0).random((48, 64), F32)
    for out in play(name, [prob] * 5, [texture()] * 5):
        if name != "hysteresis":  # which moves what is unsure to one side
            np.testing.assert_allclose(out, prob, atol=1e-6)
        assert out.dtype == F32 and out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("name", ["ema", "one-euro", "flow"])
def test_noise_over_a_still_picture_gets_less_and_the_more_so_the_stronger(name):
    probs = noisy(120)
    left = [np.std(play(name, probs, [texture()] * 120, strength=strength)[60:]) for strength in (0, 0.3, 1)]
    assert left[0] == pytest.approx(0.2 / math.sqrt(12), rel=0.02)  # of the uniform noise itself
    assert left[1] < 0.8 * left[0] and left[2] < 0.75 * left[1]


def test_hysteresis_stops_a_pixel_from_flipping():
    probs = [flat(0.5 + 0.1 * (-1) ** index) for index in range(10)]
    probs[0] = flat(0.9)
    assert all((out > 0.5).all() for out in play("hysteresis", probs, [texture()] * 10))
    assert not all((out > 0.5).all() for out in play("hysteresis", probs, [texture()] * 10, strength=0.2))


def square(left, size=(120, 160)):
    """A person, 50 px wide, 8-bit mask (H,W)."""
    mask = np.zeros(size, np.uint8)
    mask[30:, left : left + 50] = 255
    return mask


@pytest.mark.parametrize("name", KINDS)
def test_a_moving_edge_does_not_lag(name):
    behind, person = texture(seed=0), texture(seed=1) // 3
    lefts = range(20, 80, 4)
    masks = [square(left) for left in lefts]
    images = [np.where(mask[..., None] > 0, np.roll(person, left, 1), behind) for mask, left in zip(masks, lefts, strict=True)]
    probs = [cv2.resize(mask, (64, 48), interpolation=cv2.INTER_AREA).astype(F32) / 255 for mask in masks]
    for out, prob in zip(play(name, probs, images), probs, strict=True):
        assert ((out > 0.5) != (prob > 0.5)).mean() < 0.01  # half a pixel along both edges, which go on by 1.6 in each frame


def test_ema_by_hand():
    outs = play("ema", [flat(0.4), *[flat(0.6)] * 6], [texture()] * 7, step=0.1, strength=0.5)  # time constant 0.6 s * 0.5
    for index, out in enumerate(outs):
        np.testing.assert_allclose(out, 0.6 - 0.2 * math.exp(-index * 0.1 / 0.3), atol=1e-5)


@pytest.mark.parametrize(("jump", "kept"), [(0.3, 1.0), (0.45, 0.5), (0.6, 0.0), (0.9, 0.0)])
def test_averages_let_go_where_the_prob_says_otherwise(jump, kept):
    """At a strength of 0.5, nothing is kept from a jump of 0.6 on, all up to 0.3, and what lies between is in proportion."""
    kept = min(kept, math.exp(-STEP / 0.3))
    for name in ("ema", "flow"):
        out = play(name, [flat(0.05), flat(0.05 + jump)], [texture()] * 2)[-1]
        np.testing.assert_allclose(out, 0.05 + jump * (1 - kept), atol=1e-5)


@pytest.mark.parametrize("name", ["ema", "flow"])
def test_averages_do_not_depend_on_the_frame_rate(name):
    slow = play(name, [flat(0.4), *[flat(0.6)] * 6], [texture()] * 7, step=1 / 15)
    fast = play(name, [flat(0.4), *[flat(0.6)] * 24], [texture()] * 25, step=1 / 60)
    np.testing.assert_allclose(slow[-1], fast[-1], atol=1e-4)


def test_ema_lets_go_when_slow_motion_has_added_up():
    images = [np.full((120, 160, 3), 80 + index, np.uint8) for index in range(40)]  # 1 grey value a frame, below any noise
    probs = [flat(0.4)] * 39 + [flat(0.6)]
    np.testing.assert_allclose(play("ema", probs, [images[0]] * 40, strength=1)[-1], 0.6 - 0.2 * math.exp(-STEP / 0.6), atol=1e-5)
    assert play("ema", probs, images, strength=1)[-1].min() > 0.43  # three times as far


def one_euro(values, step, cutoff, beta, speed_cutoff):
    """Casiez 2012, algorithm 1, of a single number."""

    def alpha(hertz):
        return 1 / (1 + (1 / (2 * math.pi * hertz)) / step)

    out, speed = [values[0]], 0.0
    for last, value in itertools.pairwise(values):
        speed += alpha(speed_cutoff) * ((value - last) / step - speed)
        out.append(out[-1] + alpha(cutoff + beta * abs(speed)) * (value - out[-1]))
    return out


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_one_euro_as_published(strength):
    probs = noisy(12)
    outs = play("one-euro", probs, [texture()] * 12, strength=strength)
    for row, column in ((0, 0), (20, 30)):
        values = [float(prob[row, column]) for prob in probs]
        expected = one_euro(values, STEP, OneEuro.CUTOFF / strength, OneEuro.BETA / strength, OneEuro.SPEED_CUTOFF)
        np.testing.assert_allclose([out[row, column] for out in outs], expected, atol=1e-5)


def test_hysteresis_by_hand():
    """At full strength the thresholds are 0.25 and 0.75, and a prob p goes by 0.5 * 2 p (1 - p) to the side it is on."""
    values = [0.6, 0.3, 0.2, 0.7, 0.8, 0.5, 0.25]
    person = [True, True, False, False, True, True, True]
    outs = play("hysteresis", [flat(value) for value in values], [texture()] * 7, strength=1)
    expected = [values[0]] + [p + (p * (1 - p) if on else -p * (1 - p)) for p, on in zip(values[1:], person[1:], strict=True)]
    np.testing.assert_allclose([out[20, 20] for out in outs], expected, atol=1e-6)


def test_hysteresis_keeps_a_soft_edge_in_order():
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=F32)[None], 48, 0)
    out = play("hysteresis", [ramp] * 3, [texture()] * 3, strength=1)[-1]
    assert (np.diff(out[20]) > -1e-6).all() and len(np.unique(out[20])) > 50


def test_flow_averages_along_the_motion():
    """Picture and prob move 5 of 160 px a frame; what is left of the noise is counted against the prob without it."""
    wide = texture(120, 400)
    pattern = np.clip(cv2.resize(wide[..., 0], (160, 48)).astype(F32) / 256, 0.2, 0.8)
    images = [wide[:, 5 * index : 5 * index + 160].copy() for index in range(40)]
    clean = [pattern[:, 2 * index : 2 * index + 64].copy() for index in range(40)]
    probs = [prob + noise - F32(0.5) for prob, noise in zip(clean, noisy(40), strict=True)]
    flow, ema = (np.std(np.subtract(play(name, probs, images), clean)[15:]) for name in ("flow", "ema"))
    assert flow < 0.7 * ema


@pytest.mark.parametrize("name", KINDS)
def test_a_clip_that_does_not_go_on_begins_anew(name):
    first, second = flat(0.9), flat(0.4)
    picture, dark = texture(), np.zeros((120, 160, 3), np.uint8)
    for image, seconds in ((dark, STEP), (picture, -STEP), (picture, 5.0), (texture(60, 80), STEP), (picture, math.nan)):
        steady = smoother(name, 1.0)
        steady(first, picture, 0.0)
        np.testing.assert_array_equal(steady(second, image, seconds), second)
    steady = smoother(name, 1.0)
    steady(first, picture, 0.0)
    assert steady(flat(0.4, (32, 32)), picture, STEP).shape == (32, 32)
    steady(first, picture, 2 * STEP)
    steady.reset()
    np.testing.assert_array_equal(steady(second, picture, 3 * STEP), second)


@pytest.mark.parametrize("name", SMOOTHERS)
def test_odd_frames_and_times_give_numbers(name):
    random = np.random.default_rng(2)
    steady = smoother(name, 0.7)
    sizes = [(1, 1), (1, 1), (1, 300), (1, 300), (300, 1), (300, 1), (90, 160), (90, 160)]
    for size, seconds in zip(sizes * 2, random.uniform(-1, 1, 16), strict=True):
        for shape in ((48, 64), (1, 1), (1, 40)):
            for image in (random.integers(0, 256, (*size, 3), np.uint8), np.full((*size, 3), 128, np.uint8)):
                out = steady(random.random(shape, F32), image, float(seconds))
                assert out.shape == shape and out.dtype == F32 and np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("name", KINDS)
def test_a_clock_that_stands_still_does_not_freeze_the_prob(name):
    steady = smoother(name, 0.5)
    outs = [steady(flat(value), texture(), 7.0) for value in (0.1, *[0.9] * 90)]
    assert outs[-1].min() > 0.85


@pytest.mark.parametrize("name", SMOOTHERS)
def test_no_prob_is_written_to(name):
    probs, images = noisy(6), [texture()] * 6
    given = [prob.copy() for prob in probs]
    steady, outs, copies = smoother(name, 0.5), [], []
    for index, (prob, image) in enumerate(zip(probs, images, strict=True)):
        outs.append(steady(prob, image, index * STEP))
        copies.append(outs[-1].copy())
    np.testing.assert_array_equal(probs, given)
    np.testing.assert_array_equal(outs, copies)


@pytest.mark.parametrize("name", KINDS)
def test_strength_is_a_slider(name):
    steady = smoother(name, 1.0)
    steady(flat(0.55), texture(), 0.0)
    assert not np.array_equal(steady(flat(0.45), texture(), STEP), flat(0.45))
    steady.strength = 0.0
    np.testing.assert_array_equal(steady(flat(0.45), texture(), 2 * STEP), flat(0.45))
    with pytest.raises(InputError, match=r"from 0 .* to 1, got 1\.5"):
        steady.strength = 1.5


def test_the_prob_lies_on_the_whole_picture():
    """Whatever the proportions of either: the lower right quarter of the picture changes, and so of the prob."""
    before, now = np.full((2, 100, 200, 3), 90, np.uint8)
    now[50:, 100:] = 120
    changed = play("ema", [flat(0.4, (64, 64)), flat(0.6, (64, 64))], [before, now], strength=1)[-1] > 0.59
    assert changed[34:, 34:].all() and not changed[:30].any() and not changed[:, :30].any()


def test_what_is_refused():
    with pytest.raises(InputError, match=r"no smoothing 'kalman'; choose one of none, ema, one-euro, hysteresis, flow"):
        smoother("kalman")
    with pytest.raises(InputError, match=r"got -0\.1"):
        smoother("ema", -0.1)
    broken = flat(0.5)
    broken[3, 3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        smoother("ema")(broken, texture(), 0.0)
