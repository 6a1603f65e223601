import numpy as np
import pytest

from portraitseg.card import UNIT, Card
from portraitseg.errors import InputError
from portraitseg.evaluate import evaluate, worst_sheet
from portraitseg.image import resize


class RedIsPerson:
    """A runtime whose prob is the red channel."""

    card = Card(arch="red", wm=1.0, size=(8, 8), input=UNIT)

    def __call__(self, image):
        return self.run(resize(image, self.card.size))

    def run(self, x):
        return x[..., 0].astype(np.float32) / 255


class Halves:
    """Pictures whose left half is the person; of picture k, the k lowest of its 8 rows are not red. One is broken."""

    def __init__(self, missing, broken=None):
        self.missing, self.broken = missing, broken

    def __len__(self):
        return len(self.missing)

    def name(self, index):
        return f"picture{index}"

    def load(self, index):
        if index == self.broken:
            raise InputError(f"{self.name(index)}.jpg is broken")
        mask = np.zeros((8, 8), np.uint8)
        mask[:, :4] = 255
        image = np.repeat(mask[..., None], 3, -1)
        image[8 - self.missing[index] :] = 0
        return image, mask


def test_rows_summary_and_the_worst_first():
    result = evaluate(RedIsPerson(), Halves([0, 4, 2]))
    assert [row["iou"] for row in result.rows] == [100, 50, 75]  # rows of 4 person pixels: 8, 4 and 6 of 8 found
    assert result.summary["iou"] == pytest.approx(100 * (32 + 16 + 24) / 96)
    assert result.summary["mae"] == pytest.approx((0 + 16 + 8) / (3 * 64))
    assert result.worst(2) == [1, 2]


def test_a_broken_picture_is_left_out_with_a_warning(capsys):
    source = Halves([0, 0, 4], broken=1)
    result = evaluate(RedIsPerson(), source)
    assert [row["name"] for row in result.rows] == ["picture0", "picture2"]
    assert result.skipped == ["picture1.jpg is broken"]
    assert "left out: picture1.jpg is broken" in capsys.readouterr().err
    sheet = worst_sheet(RedIsPerson(), source, result, 1)
    alone = worst_sheet(RedIsPerson(), Halves([4]), evaluate(RedIsPerson(), Halves([4])), 1)
    assert sheet.shape == alone.shape
    assert not np.array_equal(sheet, alone)  # the labels differ: picture2 and picture0
    np.testing.assert_array_equal(sheet[:200], alone[:200])  # the panels do not


def test_only_broken_pictures_are_an_error():
    with pytest.raises(InputError, match="no picture to score"):
        evaluate(RedIsPerson(), Halves([0], broken=0))
