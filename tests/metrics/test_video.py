"""Steadiness, worked by hand; the motion is a known shift of a textured picture."""

import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.metrics import Steadiness, dtssd, flicker

F32 = np.float32


def texture(height=200, width=320):
    """A picture (H,W,3) in which any motion can be seen."""
    noise = np.random.default_rng(0).normal(0, 1, (height, width)).astype(F32)
    return np.repeat(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)[..., None], 3, 2)


def square(left, value=1.0, height=200, width=320):
    prob = np.zeros((height, width), F32)
    prob[60:140, left : left + 80] = value
    return prob


def test_dtssd_by_hand():
    before, now = np.zeros((2, 10, 10), F32)
    now[0, :4] = 0.5  # four pixels rise by 0.5 where the truth rises by 1 in two of them: differences -.5, -.5, .5, .5
    alpha = np.zeros((10, 10), F32)
    alpha[0, :2] = 1
    assert dtssd(before, now, np.zeros((10, 10), F32), alpha) == pytest.approx(100 * np.sqrt(4 * 0.25 / 100))


def test_dtssd_forgives_what_is_wrong_in_both_frames_alike():
    alpha = square(100)
    assert dtssd(square(100, 0.4), square(104, 0.4), alpha, alpha) == pytest.approx(
        dtssd(square(100, 0.4) * 0, square(104, 0.4) - square(100, 0.4), alpha, alpha)
    )
    assert dtssd(square(100, 0.4), square(100, 0.4), alpha, alpha) == 0


def reference_dtssd(probs, alphas):
    """Erofeev 2015, frame by frame in float64."""
    out = []
    for t in range(1, len(probs)):
        total = 0.0
        for p1, p0, a1, a0 in zip(probs[t].flat, probs[t - 1].flat, alphas[t].flat, alphas[t - 1].flat, strict=True):
            total += ((float(p1) - float(p0)) - (float(a1) - float(a0))) ** 2
        out.append(100 * (total / probs[t].size) ** 0.5)
    return out


def test_dtssd_as_the_paper_defines_it():
    probs, alphas = np.random.default_rng(1).random((2, 4, 12, 17), F32)
    picture = texture(12, 17)
    meter = Steadiness()
    rows = [meter.add(str(t), picture, prob, alpha) for t, (prob, alpha) in enumerate(zip(probs, alphas, strict=True))]
    assert rows[0] == {}
    assert [row["dtssd"] for row in rows[1:]] == pytest.approx(reference_dtssd(probs, alphas), rel=1e-5)


def test_flicker_of_a_still_picture_is_the_mean_change():
    # 80 x 80 pixels rise by 0.25, of 200 x 320 all of which stand still
    assert flicker(texture(), texture(), square(100, 0.5), square(100, 0.75)) == pytest.approx(1000 * 0.25 * 6400 / 64000, rel=1e-3)


def test_flicker_forgives_a_prob_that_moves_with_the_picture():
    before, after = texture(), np.roll(texture(), 6, axis=1)
    moving = flicker(before, after, square(100), square(106))
    standing = flicker(before, after, square(100), square(100))
    # standing: two strips of 6 x 80 pixels differ by 1 once the last prob is moved along: 960 of about 64000
    assert standing == pytest.approx(1000 * 960 / 64000, rel=0.1)
    assert moving < 0.05 * standing


@pytest.mark.parametrize(("size", "expected"), [((200, 320), 1000), ((400, 640), 0)])
def test_flicker_is_measured_at_a_width_of_320(size, expected):
    # squares of one pixel change places; at half the size the average of each four is 0.5 in both frames
    picture = cv2.resize(texture(), size[::-1], interpolation=cv2.INTER_NEAREST)
    squares = (np.indices(size).sum(0) % 2).astype(F32)
    assert flicker(picture, picture, squares, 1 - squares) == pytest.approx(expected, abs=1e-3)


def test_what_comes_from_nowhere_does_not_count():
    before, after = texture(), texture()
    after[60:140, 100:180] = texture(400, 400)[300:380, 300:380]  # something else covers the square, and is the person
    counted = 1000 * 6400 / 64000
    assert flicker(before, after, square(100, 0), square(100)) < 0.4 * counted


def test_newly_seen_pixels_do_not_count():
    wide = texture(200, 400)
    prob = np.zeros((200, 320), F32)
    fresh = prob.copy()
    fresh[:, 310:] = 1  # the camera pans by 10 pixels: the right 10 columns are new, and change
    assert flicker(wide[:, :320], wide[:, 10:330], prob, fresh) < 0.5  # counted, they would be 1000 * 10 / 320


def test_what_lies_beyond_the_rim_does_not_count():
    double = texture(400, 700)
    frames = [cv2.resize(double[:, start : start + 640], (320, 200), interpolation=cv2.INTER_AREA) for start in (0, 1)]
    whole = np.ones((200, 320), F32)  # a pan by half a pixel: read at the rim, half of the last prob would be nothing
    assert flicker(*frames, whole, whole) < 1e-3


def test_a_cut_forgets_and_another_size_is_refused():
    meter = Steadiness()
    assert meter.add("a", texture(), square(100)) == {}
    assert set(meter.add("b", texture(), square(100))) == {"flicker"}  # no alpha: no dtSSD
    meter.cut()
    assert meter.add("c", texture(), square(100)) == {}
    with pytest.raises(InputError, match=r"one size.*d has \(20, 30\)"):
        meter.add("d", texture(20, 30), np.zeros((20, 30), F32))
