import csv

import cv2
import numpy as np
import pytest

from portraitseg.card import UNIT, Card
from portraitseg.errors import InputError
from portraitseg.evaluate import evaluate, flicker_alone, worst_sheet, write_rows
from portraitseg.image import resize, to_input
from portraitseg.metrics import METRICS, STILL, dtssd, flicker


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
    result = evaluate(RedIsPerson(), source, keep=1)
    assert [row["name"] for row in result.rows] == ["picture0", "picture2"]
    assert result.skipped == ["picture1.jpg is broken"]
    assert "left out: picture1.jpg is broken" in capsys.readouterr().err
    sheet = worst_sheet(source, result)
    alone = worst_sheet(Halves([4]), evaluate(RedIsPerson(), Halves([4]), keep=1))
    assert sheet.shape == alone.shape
    assert not np.array_equal(sheet, alone)  # the labels differ: picture2 and picture0
    np.testing.assert_array_equal(sheet[:200], alone[:200])  # the panels do not


def test_only_broken_pictures_are_an_error():
    with pytest.raises(InputError, match="no picture to score"):
        evaluate(RedIsPerson(), Halves([0], broken=0))


def test_the_worst_are_those_of_the_first_metric_named_and_their_probs_are_kept():
    source = Halves([0, 4, 2, 6])
    result = evaluate(RedIsPerson(), source, metrics="mae,iou", keep=2)  # MAE: lower is better
    assert list(result.summary) == ["mae", "iou"]
    assert result.worst(3) == [3, 1, 2]
    assert set(result.probs) == {3, 1}
    np.testing.assert_allclose(result.probs[1], RedIsPerson()(source.load(1)[0]))
    assert list(evaluate(RedIsPerson(), source, metrics="all").summary) == list(STILL)
    with pytest.raises(InputError, match="unknown metric 'dice'"):
        evaluate(RedIsPerson(), source, metrics=["dice"])


class Clip:
    """Frames by name, in the order given here; a bright square is the person."""

    def __init__(self, *names, broken=()):
        self.names, self.broken = names, broken

    def __len__(self):
        return len(self.names)

    def name(self, index):
        return self.names[index]

    def load(self, index):
        if self.names[index] in self.broken:
            raise InputError(f"{self.names[index]} is broken")
        number = int(self.names[index].rpartition("f")[2])
        image = np.random.default_rng(7).integers(0, 90, (32, 32, 3)).astype(np.uint8)
        image[4:20, 4:20, 0] = 160 + 8 * number
        mask = np.zeros((32, 32), np.uint8)
        mask[4:20, 4:20] = 255
        return image, mask

    def __iter__(self):
        return iter([(name, self.load(index)[0]) for index, name in enumerate(self.names)])


def test_frames_are_compared_in_the_order_of_their_names_by_value():
    result = evaluate(RedIsPerson(), Clip("f10", "f9", "f2"), video=True)
    assert [row["name"] for row in result.rows] == ["f2", "f9", "f10"]
    assert result.indices == [2, 1, 0]
    runtime, (f10, f9, f2) = RedIsPerson(), [Clip("f10", "f9", "f2").load(index) for index in range(3)]
    # the red square rises by 7 * 8 and by 8 levels of 255 in 256 of 1024 pixels; at the net's 8x8 it covers 16 of 64, then is enlarged
    for row, (before, now) in zip(result.rows[1:], [(f2, f9), (f9, f10)], strict=True):
        probs = [resize_up(runtime(frame[0])) for frame in (before, now)]
        truth = before[1] / np.float32(255)
        assert row["dtssd"] == pytest.approx(dtssd(*probs, truth, truth), rel=1e-5)
        assert row["flicker"] == pytest.approx(flicker(before[0], now[0], *probs), rel=1e-5)
    assert result.rows[1]["dtssd"] == pytest.approx(7 * result.rows[2]["dtssd"], rel=1e-3)
    assert "dtssd" not in result.rows[0]
    assert result.summary["dtssd"] == pytest.approx(np.mean([row["dtssd"] for row in result.rows[1:]]))
    assert list(result.summary) == ["iou", "miou", "mae", "boundary_f", "dtssd", "flicker"]


def resize_up(prob):
    return np.clip(cv2.resize(prob, (32, 32), interpolation=cv2.INTER_LINEAR), 0, 1)


def test_a_new_folder_and_a_frame_left_out_start_anew():
    result = evaluate(RedIsPerson(), Clip("b/f1", "a/f1", "a/f2", "a/f3", "a/f4", "a/f5", broken=["a/f3"]), video=True)
    assert [(row["name"], "dtssd" in row) for row in result.rows] == [
        ("a/f1", False), ("a/f2", True), ("a/f4", False), ("a/f5", True), ("b/f1", False),
    ]  # fmt: skip


class LastPlusRed(RedIsPerson):
    """A video model: its prob is 0.1 above its prior, the fourth channel."""

    card = Card(arch="last", wm=1.0, size=(8, 8), input=UNIT, channels=4)

    def __call__(self, image):
        return self.run(to_input(image, self.card))

    def run(self, x):
        return x[..., 3] + np.float32(0.1)


def test_a_video_model_gets_its_own_last_prob_and_none_after_a_cut():
    names = ("a/f1", "a/f2", "a/f3", "b/f1")
    result = evaluate(LastPlusRed(), Clip(*names), metrics="mae", video=True, keep=4)
    assert [result.probs[number].mean() for number in range(4)] == pytest.approx([0.1, 0.2, 0.3, 0.1])
    still = evaluate(LastPlusRed(), Clip(*names), metrics="mae", keep=4)
    assert [still.probs[number].mean() for number in range(4)] == pytest.approx([0.1] * 4)
    alone = flicker_alone(LastPlusRed(), Clip(*names[:3]))
    assert alone.summary == {"flicker": pytest.approx(100, rel=1e-3)}  # 0.1 a frame, of 1000


def test_flicker_alone_needs_two_frames_of_finite_probs():
    with pytest.raises(InputError, match="got 1 of which none"):
        flicker_alone(RedIsPerson(), Clip("f1"))

    class Broken(RedIsPerson):
        def run(self, x):
            return np.full((8, 8), np.nan, np.float32)

    with pytest.raises(InputError, match="f1 holds NaN"):
        flicker_alone(Broken(), Clip("f1", "f2"))


def test_the_table_has_a_column_a_metric_and_empty_cells_for_the_first_frame(tmp_path):
    result = evaluate(RedIsPerson(), Clip("f1", "f2"), metrics="all", video=True)
    write_rows(tmp_path / "rows.csv", result)
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", *METRICS]
    assert rows[0]["flicker"] == ""
    assert float(rows[1]["weighted_f"]) == pytest.approx(result.rows[1]["weighted_f"], abs=1e-6)
