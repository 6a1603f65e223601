"""Pictures that must not set ranges are refused with the figures; photographs pass."""

import numpy as np
import pytest

from portraitseg.card import SYMMETRIC, Card
from portraitseg.errors import InputError
from portraitseg.quantization.picture_check import check, measure

CARD = Card(arch="a", wm=1, size=(32, 32), input=SYMMETRIC)


def _noise(low: int, high: int, count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(low, high + 1, (20, 30, 3)).astype(np.uint8) for _ in range(count)]


def _masks(count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [
        np.repeat((rng.random((20, 30, 1)) > 0.5) * np.uint8(255) ^ rng.integers(0, 5, (20, 30, 1)).astype(np.uint8), 3, 2)
        for _ in range(count)
    ]


def test_the_figures_by_hand() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, 0] = (40, 80, 120)
    found = measure([picture, np.full((5, 5, 3), 10, np.uint8)])
    np.testing.assert_allclose(found.mean, [(10 + 10) / 2, (20 + 10) / 2, (30 + 10) / 2])
    red = (1600 / 4 + 100) / 2 - 10**2
    assert found.std[0] == pytest.approx(np.sqrt(red))
    assert (found.low, found.high, found.flat, found.masks) == (0, 120, 0.5, 0)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        (_masks(), r"100% of the calibration pictures are black and white alone: these are masks; .*--data DIR"),
        ([np.full((9, 9, 3), value, np.uint8) for value in (0, 90, 200)], "hold a single colour"),
        (_noise(0, 1), r"span 0 to 1 only, but the card's input range -1 to 1 is that of bytes from 0 to 255: they were normalised before"),
    ],
    ids=["masks", "constant", "normalised before"],
)
def test_what_sets_no_range_is_refused(pictures: list[np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(measure(pictures), CARD)


def test_pictures_unlike_the_training_set_are_refused() -> None:
    trained = measure(_noise(0, 255))
    with pytest.raises(InputError, match=r"red is 35 on average, there 12\d \(allowed \+-64\).*mix some"):
        check(measure(_noise(0, 70)), CARD, trained)
    with pytest.raises(InputError, match=r"blue has a standard deviation of 14, there 7\d"):
        check(measure(_noise(104, 152)), CARD, trained)


def test_photographs_pass() -> None:
    half_masks = _noise(10, 240) + _masks(2)
    check(measure(half_masks), CARD, measure(_noise(0, 255)))
    check(measure([np.repeat(picture[..., :1], 3, 2) for picture in _noise(0, 255)]), CARD)  # grey ones are no masks
