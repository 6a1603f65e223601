"""Pictures without masks, and what the pipeline makes of a teacher's probs."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import image
from portraitseg.card import SYMMETRIC, Card
from portraitseg.data.augment import AugmentConfig
from portraitseg.data.pipeline import train_batches
from portraitseg.data.unlabelled import Joined, Masked, Predictions, Taught, find_pictures
from portraitseg.errors import InputError

CARD = Card(arch="munet_mnv3", wm=0.5, size=(64, 48), input=SYMMETRIC)


class Drawn:
    """Small pictures with an ellipse each; the broken ones cannot be read."""

    def __init__(self, count: int, *, start: int = 0, broken: tuple[int, ...] = ()) -> None:
        self.count, self.start, self.broken = count, start, broken

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"drawn {self.start + index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index in self.broken:
            raise InputError(f"{self.name(index)} is broken")
        number = self.start + index
        size = (80 + number % 7, 60 + number % 5)
        picture = cv2.resize(np.random.default_rng(number).integers(0, 256, (8, 6, 3), dtype=np.uint8), size[::-1])
        return picture, cv2.ellipse(np.zeros(size, np.uint8), (30, 50), (15 + number % 4, 30), 0, 0, 360, 255, -1)


@dataclass
class Truth:
    """A teacher whose probs are a source's masks, or 255 less those."""

    source: Drawn
    turned: bool = False

    def load(self, index: int, size: tuple[int, int]) -> np.ndarray:
        mask = self.source.load(index)[1]
        assert mask.shape == size
        return 255 - mask if self.turned else mask


def batches(source, *, card: Card = CARD, level: str = "strong") -> list[dict[str, np.ndarray]]:
    found = train_batches(source, card, batch=4, seed=3, epoch=1, augment=AugmentConfig(level=level))
    return [{name: value.numpy() for name, value in batch.items()} for batch in found]


@pytest.mark.parametrize("level", ["none", "strong"])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_the_teachers_prob_goes_the_masks_way_and_changes_nothing_else(level: str, fit: str) -> None:
    card, source = Card(**{**CARD.__dict__, "fit": fit}), Drawn(12)
    plain = batches(source, card=card, level=level)
    taught = batches(Taught(source, Truth(source), 12, ""), card=card, level=level)
    turned = batches(Taught(source, Truth(source, turned=True), 12, ""), card=card, level=level)
    assert len(plain) == 3
    for before, same, other in zip(plain, taught, turned, strict=True):
        assert {"teacher", "labelled", "taught"} == set(same) - set(before)
        for key, value in before.items():
            assert np.array_equal(value, same[key])
            assert np.array_equal(value, other[key])
        assert np.array_equal(same["teacher"], same["mask"])
        assert same["teacher"].dtype == np.float32
        assert 0.05 < same["teacher"].mean() < 0.95
        inside = 1 - other["teacher"]  # a letterbox's border is 0 in every mask, so there it is 1 here
        assert np.allclose(inside, other["mask"], atol=0.02) if fit == "stretch" else (inside >= other["mask"] - 0.02).all()
        assert same["labelled"].all() and same["taught"].all()


def test_which_samples_are_labelled() -> None:
    joined = Joined(Drawn(5), Drawn(7, start=5))
    for batch in batches(Taught(joined, Truth(joined), 5, "")):
        assert batch["labelled"].tolist() == (batch["index"] < 5).tolist()
        assert batch["labelled"].dtype == bool


def test_composites_are_learned_from_their_masks_alone_and_made_of_masks_alone() -> None:
    """Every composite is black with the mask's upper half; the teacher says the opposite of the masks."""

    def half(picture: np.ndarray, mask: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        upper = mask.copy()
        upper[len(mask) // 2 :] = 0
        return (np.zeros_like(picture), upper) if seed % 2 else (picture, mask)

    joined = Joined(Drawn(10), Drawn(6, start=10))
    taught = Taught(joined, Truth(joined, turned=True), 10, "")
    options = {"batch": 4, "seed": 3, "epoch": 1, "augment": AugmentConfig(level="none")}
    rows = [
        {name: values[row] for name, values in batch.items()}
        for batch in (
            {name: value.numpy() for name, value in batch.items()} for batch in train_batches(taught, CARD, composer=half, **options)
        )
        for row in range(4)
    ]
    black = [bool((row["x"] == row["x"].min()).all()) for row in rows]
    assert 2 <= sum(black) <= 8 and len(rows) == 16
    for row, composed in zip(rows, black, strict=True):
        assert bool(row["taught"]) != composed
        assert not composed or (row["labelled"] and np.array_equal(row["teacher"], row["mask"]))
        assert composed or np.allclose(row["teacher"], 1 - row["mask"], atol=0.02)


def test_a_sample_without_a_prediction_is_replaced_by_the_next() -> None:
    @dataclass
    class Gap(Truth):
        def load(self, index: int, size: tuple[int, int]) -> np.ndarray:
            if index == 2:
                raise InputError("no prediction of drawn 2")
            return super().load(index, size)

    source = Drawn(8)
    with pytest.warns(UserWarning, match="no prediction of drawn 2"):
        found = batches(Taught(source, Gap(source), 8, ""))
    assert sorted(np.concatenate([batch["index"] for batch in found])) == [0, 1, 3, 3, 4, 5, 6, 7]


def test_joined_sources_are_one_after_the_other() -> None:
    joined = Joined(Drawn(3), Drawn(2, start=10), Drawn(1, start=20))
    assert len(joined) == 6
    assert [joined.name(index) for index in range(6)] == [f"drawn {number}" for number in (0, 1, 2, 10, 11, 20)]
    assert np.array_equal(joined.load(4)[0], Drawn(1, start=11).load(0)[0])


def test_predictions_come_at_the_pictures_size_with_the_fit_undone(tmp_path: Path) -> None:
    prob = np.zeros((40, 40), np.uint8)
    prob[10:30, :20] = 200  # a picture twice as wide as high fills rows 10 to 30 of its letterbox
    image.write(tmp_path / "a.png", prob)
    image.write(tmp_path / "b.png", 255 - prob)
    found = Predictions((tmp_path / "a.png", tmp_path / "b.png"), "letterbox")
    value = found.load(0, (60, 120))
    assert value.shape == (60, 120)
    assert value.dtype == np.uint8
    assert (value[:, :58] == 200).all()
    assert (value[:, 62:] == 0).all()
    assert np.array_equal(found.take([1]).load(0, (60, 120)), 255 - value)
    with pytest.raises(InputError, match=r"none\.png"):
        Predictions((tmp_path / "none.png",), "stretch").load(0, (60, 120))


def test_masked_takes_the_prob_for_the_mask(tmp_path: Path) -> None:
    picture, mask = Drawn(1).load(0)
    image.write(tmp_path / "prob.png", 255 - mask)
    masked = Masked(Drawn(1), Predictions((tmp_path / "prob.png",), "stretch"))
    assert np.array_equal(masked.load(0)[0], picture)
    assert np.array_equal(masked.load(0)[1], 255 - mask)
    assert (len(masked), masked.name(0)) == (1, "drawn 0")


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "more"
    picture = Drawn(1).load(0)[0]
    for name in ("b.png", "inner/a.jpg", "b_mask.png", "masks/c.png", ".hidden/d.png", "known.png"):
        image.write(root / name, picture)
    (root / "broken.jpg").write_bytes((root / "inner/a.jpg").read_bytes()[:200])
    (root / "notes.txt").write_text("no picture")
    found, report = find_pictures(root, {(root / "known.png").resolve()})
    assert [found.name(index) for index in range(len(found))] == ["more/b.png", "more/inner/a.jpg"]
    loaded, mask = found.load(0)
    assert np.array_equal(loaded, picture)
    assert mask.shape == picture.shape[:2]
    assert not mask.any()
    assert report[0].endswith("pictures without a mask: 2")
    assert "training or validation set: 1" in report[1]
    assert "broken.jpg" in report[2]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no folder .*nowhere"):
        find_pictures(tmp_path / "nowhere")
    (tmp_path / "x.txt").touch()
    with pytest.raises(InputError, match="no usable picture in"):
        find_pictures(tmp_path)
