"""The calibration set: covers the data, is the same for a seed, and spans the whole range of a byte."""

import numpy as np
import pytest

from portraitseg.card import IMAGENET, SYMMETRIC, UNIT, Card, InputSpec
from portraitseg.errors import InputError
from portraitseg.quantization.calibration import CalibrationSet, draw


class Grey:
    """Mid-grey pictures, which alone would give the input a far too narrow range."""

    def __len__(self) -> int:
        return 3

    def name(self, index: int) -> str:
        return f"grey{index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        mask = np.zeros((8, 8), np.uint8)
        mask[:, 4:] = 255
        return np.full((8, 8, 3), 100 + index, np.uint8), mask


def _set(spec: InputSpec, indices: list[int], channels: int = 3) -> CalibrationSet:
    return CalibrationSet(source=Grey(), indices=indices, card=Card(arch="a", wm=1, size=(32, 32), input=spec, channels=channels))


def test_draw_takes_one_from_each_equal_stretch() -> None:
    indices = draw(1000, 10, seed=3)
    assert [index // 100 for index in indices] == list(range(10))
    assert indices == draw(1000, 10, seed=3)
    assert indices != draw(1000, 10, seed=4)


def test_draw_repeats_nothing_and_takes_all_of_a_small_set() -> None:
    assert draw(5, 128, seed=0) == [0, 1, 2, 3, 4]
    for seed in range(20):
        indices = draw(11, 10, seed=seed)
        assert len(set(indices)) == 10
        assert max(indices) <= 10


@pytest.mark.parametrize(("spec", "ends"), [(SYMMETRIC, (-1, 1)), (UNIT, (0, 1)), (IMAGENET, (-123.675 / 58.395, (255 - 103.53) / 57.375))])
def test_the_range_is_that_of_a_byte_whatever_the_pictures(spec: InputSpec, ends: tuple[float, float]) -> None:
    inputs = np.concatenate(list(_set(spec, [0, 2])))
    assert inputs.shape == (2, 32, 32, 3)
    assert (inputs.min(), inputs.max()) == pytest.approx(ends, abs=1e-6)
    byte_100 = (100 - np.array(spec.mean)) / np.array(spec.std)
    np.testing.assert_allclose(inputs[0, 16, 16], byte_100, rtol=1e-6)  # the rest of the picture is itself


def test_every_second_prior_is_the_true_mask() -> None:
    first, second, third = _set(SYMMETRIC, [0, 1, 2], channels=4)
    assert not first[..., 3].any()
    assert not third[..., 3].any()
    assert not second[..., :12, 3].any()
    assert np.all(second[..., 20:, 3] == 1)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"calibration set is empty.*--data DIR"):
        next(iter(_set(SYMMETRIC, [])))
