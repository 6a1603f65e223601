from dataclasses import replace

import cv2
import numpy as np
import pytest

from portraitseg.card import UNIT, Card
from portraitseg.image import to_input
from portraitseg.live.frames import Frame
from portraitseg.live.look import Look
from portraitseg.live.segmenter import Segmenter, prob_of

CARD = Card(arch="tiny", wm=1.0, size=(32, 32), input=UNIT)


class Green:
    """A net whose prob is the picture's green at the net's size; it remembers what it was fed."""

    def __init__(self, card: Card) -> None:
        self.card, self.fed = card, []

    def __call__(self, image: np.ndarray) -> np.ndarray:
        assert image.dtype == np.uint8
        return self.run(to_input(image, replace(self.card, channels=3)))

    def run(self, x: np.ndarray) -> np.ndarray:
        self.fed.append(x)
        return x[..., 1].copy()


def frame(image: np.ndarray, index: int = 0) -> Frame:
    return Frame(image=image, time=index / 30, index=index)


def half_green(height: int, width: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 1] = 255
    return image


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(72, 128), (128, 72), (640, 360), (31, 200), (1, 1)])
def test_the_prob_lies_on_the_picture_whatever_its_shape(fit, size):
    """Half of the picture is green; so must be the prob, without the letterbox's border, when it is enlarged."""
    net = Green(replace(CARD, fit=fit))
    prob = prob_of(half_green(*size), net, net.card)
    if fit == "letterbox":
        assert prob.shape == tuple(max(1, round(32 * side / max(size))) for side in size)
    large = cv2.resize(prob, size[::-1])
    columns = large.mean(0)
    sure = max(1, size[1] // 8)
    if size[1] > 1:
        assert columns[: size[1] // 2 - sure].min(initial=1) > 0.95 and columns[size[1] // 2 + sure :].max() < 0.05


@pytest.mark.parametrize("skip", [0, 2])
def test_skipped_frames_get_the_last_prob(skip):
    net = Green(CARD)
    segmenter = Segmenter(net, look=Look(skip=skip, smoothing=0))
    probs = [segmenter(frame(np.full((32, 32, 3), 10 * number, np.uint8), number)).mean() * 255 for number in range(7)]
    assert np.allclose(probs, [10 * (number - number % (skip + 1)) for number in range(7)], atol=0.01)
    assert len(net.fed) == len(range(0, 7, skip + 1))


def test_a_net_with_a_prior_is_fed_its_own_prob_before_smoothing_and_none_after_a_new_size():
    net = Green(replace(CARD, channels=4))
    segmenter = Segmenter(net, look=Look(smoothing=1))
    first = np.full((32, 32, 3), 200, np.uint8)
    segmenter(frame(first, 0))
    segmenter(frame(first, 1))
    assert (net.fed[0][..., 3] == 0).all()
    assert np.allclose(net.fed[1][..., 3], 200 / 255, atol=1e-3)
    segmenter(frame(np.full((64, 32, 3), 200, np.uint8), 2))
    assert (net.fed[2][..., 3] == 0).all()


def test_smoothing_sees_frames_in_time():
    """A still picture whose prob jumps: the average lags, and catches up."""
    probs = iter([0.0, 1.0, 1.0])

    class Jumping(Green):
        def run(self, x):
            return np.full((32, 32), next(probs), np.float32)

    segmenter = Segmenter(Jumping(CARD), look=Look(smoothing=1))
    still = np.full((32, 32, 3), 90, np.uint8)
    means = [float(segmenter(frame(still, number)).mean()) for number in range(3)]
    assert means[0] == 0 and 0 < means[1] < means[2] < 1


def test_subtraction_takes_the_nets_place_while_the_look_says_so():
    net, look = Green(CARD), Look(smoothing=0)
    segmenter = Segmenter(net, look=look)
    room = np.full((60, 80, 3), 100, np.uint8)
    segmenter(frame(room))
    look.subtract = True
    for number in range(30):
        assert segmenter(frame(room, number)).max() == 0  # it learns
    visited = room.copy()
    visited[20:, 30:50] = 200
    prob = cv2.resize(segmenter(frame(visited, 31)), (80, 60))
    assert prob[30:55, 35:45].min() > 0.9 and prob[:, :20].max() < 0.1
    assert len(net.fed) == 1
