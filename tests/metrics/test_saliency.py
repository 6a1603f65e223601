"""Max F, weighted F and S-measure, worked by hand in the comments; test_published.py has the published implementation."""

import numpy as np
import pytest

from portraitseg.metrics import Meter, curves, max_f, s_measure, weighted_f

F32 = np.float32


def test_max_f_by_hand():
    prob, truth = F32([[0.9, 0.6, 0.6, 0.1]]), np.uint8([[1, 1, 0, 0]])
    # above 0.6: precision 1, recall 1/2: 1.3 * .5 / (.3 + .5) = .8125; at 0.6: 2/3 and 1: 1.3 * 2/3 / (.2 + 1) = .7222
    assert max_f(curves(prob, truth)) == pytest.approx(0.8125)
    precision, recall = curves(prob, truth)
    # prob >= t / 255 for t = 255 ... 0: 0.9 is 229.5, 0.6 is 153, 0.1 is 25.5
    assert precision.tolist() == pytest.approx([0] * 26 + [1] * 76 + [2 / 3] * 128 + [0.5] * 26)
    assert recall.tolist() == pytest.approx([0] * 26 + [0.5] * 76 + [1] * 154)


def test_max_f_of_a_set_is_that_of_the_mean_curves():
    meter = Meter(["max_f"])
    meter.add("a", F32([[1, 1]]), np.uint8([[255, 0]]))  # precision 1/2, recall 1 at every threshold
    meter.add("b", F32([[0.2, 0]]), np.uint8([[255, 0]]))  # 0 and 0 above 51/255, then 1 and 1, at last 1/2 and 1
    assert [row["max_f"] for row in meter.rows] == pytest.approx([100 * 0.65 / 1.15, 100])
    # means at 0.2: precision 3/4, recall 1: 1.3 * .75 / (.225 + 1)
    assert meter.summary() == {"max_f": pytest.approx(100 * 0.975 / 1.225)}


def test_weighted_f_by_hand():
    prob, truth = np.zeros((15, 15), F32), np.zeros((15, 15), np.uint8)
    truth[7, 4:9] = prob[7, 4:9] = 1
    prob[7, 13] = 0.5  # 5 pixels off: costs 2 - 2^(-5/5) = 1.5 times its error
    # no error inside: recall 1, precision 5 / (5 + .75)
    assert weighted_f(prob, truth) == pytest.approx(2 * 5 / (5 + 0.75) / (1 + 5 / (5 + 0.75)))


def test_weighted_f_forgives_an_error_whose_neighbours_are_right():
    truth = np.ones((15, 15), np.uint8)
    prob = truth.astype(F32)
    prob[7, 7] = 0
    # the missed pixel's error, 1, is replaced by its blurred value: the centre of a 7x7 Gaussian of sigma 5
    weights = np.exp(-(np.arange(-3, 4) ** 2) / 50)
    error = (1 / weights.sum()) ** 2
    recall = 1 - error / 225  # no false positive: precision 1
    assert weighted_f(prob, truth) == pytest.approx(2 * recall / (1 + recall), abs=1e-7)


def test_weighted_f_outside_the_person_blurs_the_nearest_error_inside():
    truth = np.zeros((1, 9), np.uint8)
    truth[0, 4] = 1
    prob = np.zeros((1, 9), F32)
    # one person pixel, missed: every pixel's nearest error is 1, and the blur sees 7 of them in a row of 1: sum of weights in one row
    weights = np.exp(-(np.arange(-3, 4) ** 2) / 50)
    error = weights[3] / weights.sum()  # the rows above and below lie beyond the rim and are 0
    recall = 1 - error
    assert weighted_f(prob, truth) == pytest.approx(2 * recall / (1 + recall), abs=1e-6)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (0.5, 1.0), (0.6, 0.0)])
def test_weighted_f_without_a_person_asks_whether_one_was_found(value, expected):
    assert weighted_f(np.full((4, 4), value, F32), np.zeros((4, 4), np.uint8)) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_max_f_without_a_person_is_full_where_some_threshold_finds_none(value, expected):
    assert max_f(curves(np.full((4, 4), value, F32), np.zeros((4, 4), np.uint8))) == expected


def test_s_measure_by_hand():
    prob, truth = F32([[1, 0.5], [0, 0]]), np.uint8([[1, 1], [0, 0]])
    # object: person mean .75, deviation sqrt(.125): 1.5 / (.5625 + 1 + sqrt(.125)); background 2 / 2 = 1
    alike = 0.5 * 1.5 / (1.5625 + np.sqrt(0.125)) + 0.5
    # region: the person's centre is row 0, column 0.5, to even 0: parts of 1 pixel each, none of which varies: all 1
    assert s_measure(prob, truth) == pytest.approx(0.5 * alike + 0.5)


def test_s_measure_of_parts_by_hand():
    prob, truth = F32([[0, 0, 0, 0.5], [0, 1, 0.5, 0.5]]), np.uint8([[0, 0, 0, 0], [0, 1, 1, 0]])
    # object: person mean .75, deviation sqrt(.125), a quarter of the picture; background mean 1 - 1/6, deviation of (.5, .5, 0, 0, 0, 0)
    background = np.std([0.5, 0.5, 0, 0, 0, 0], ddof=1)
    alike = 0.25 * 1.5 / (1.5625 + np.sqrt(0.125)) + 0.75 * (10 / 6) / (25 / 36 + 1 + background)
    # centre: row 1, column 1.5, to even 2: all of columns 0 to 2 (6 pixels), and column 3 (2 pixels), which does not vary: 1
    x, y = np.array([0, 0, 0, 0, 1, 0.5]), np.array([0, 0, 0, 0, 1, 1])
    (vx, covariance), (_, vy) = np.cov(x, y)
    left = 4 * x.mean() * y.mean() * covariance / ((x.mean() ** 2 + y.mean() ** 2) * (vx + vy))
    assert s_measure(prob, truth) == pytest.approx(0.5 * alike + 0.5 * (0.75 * left + 0.25))


def test_s_measure_of_all_black_and_all_white_masks():
    prob = np.full((4, 4), 0.25, F32)
    assert s_measure(prob, np.zeros((4, 4), np.uint8)) == pytest.approx(0.75)
    assert s_measure(prob, np.ones((4, 4), np.uint8)) == pytest.approx(0.25)
