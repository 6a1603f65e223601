"""Data sets from folders to samples: the split, the report, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg.data.sources import Folder, find_pairs, in_validation, open_data
from portraitseg.errors import InputError


def put(root: Path, *names: str, size: tuple[int, int] = (6, 8)) -> None:
    """For each name a picture in images/ and a mask in masks/, the person in the lower half."""
    for name in names:
        image, mask = root / f"images/{name}.jpg", root / f"masks/{name}.png"
        for path in (image, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        figure = np.zeros(size, np.uint8)
        figure[size[0] // 2 :] = 255
        cv2.imwrite(str(image), np.full((*size, 3), 120, np.uint8))
        cv2.imwrite(str(mask), figure)


def names(source) -> list[str]:
    return [source.name(index) for index in range(len(source))]


NAMES = [f"person{index:03d}" for index in range(120)]
PINNED = ["person003", "person011", "person016"]  # of the first 40, a tenth held out, seed 0


def test_samples_are_pictures_and_masks(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    source = Folder(find_pairs(tmp_path)[0])
    picture, mask = source.load(1)
    assert names(source) == ["a", "b"]
    assert (picture.shape, picture.dtype, mask.shape, mask.dtype) == ((6, 8, 3), np.uint8, (6, 8), np.uint8)
    assert mask[:3].max() == 0
    assert mask[3:].min() == 255


def test_train_and_val_folders_are_the_split(tmp_path: Path) -> None:
    put(tmp_path / "train", "a", "b", "c")
    put(tmp_path / "val", "d")
    data = open_data(tmp_path)
    assert (names(data.train), names(data.val)) == (["a", "b", "c"], ["d"])
    assert data.report[-1] == "3 to train on, 1 to validate on"


def test_the_split_is_disjoint_whole_and_near_its_share(tmp_path: Path) -> None:
    put(tmp_path, *NAMES)
    data = open_data(tmp_path, val_fraction=0.25)
    assert sorted(names(data.train) + names(data.val)) == NAMES
    assert 15 <= len(data.val) <= 45


def test_the_split_stays_when_files_are_added(tmp_path: Path) -> None:
    put(tmp_path, *NAMES[::2])
    before = set(names(open_data(tmp_path).val))
    put(tmp_path, *NAMES[1::2])
    after = set(names(open_data(tmp_path).val))
    assert after & set(NAMES[::2]) == before
    assert after > before


def test_the_split_is_the_same_on_every_machine() -> None:
    """Pinned: a run is resumed, and an artifact evaluated, elsewhere; Python's own hash differs from process to process."""
    held = [name for name in NAMES[:40] if in_validation(name, 0.1, 0)]
    assert held == PINNED
    assert held != [name for name in NAMES[:40] if in_validation(name, 0.1, 1)]


def test_a_small_set_keeps_one_on_either_side(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    for fraction in (0.001, 0.999):
        data = open_data(tmp_path, val_fraction=fraction)
        assert (len(data.train), len(data.val)) == (1, 1)


def test_one_pair_cannot_be_split(tmp_path: Path) -> None:
    put(tmp_path, "a")
    with pytest.raises(InputError, match="--val DIR"):
        open_data(tmp_path)


def test_a_validation_folder_of_its_own(tmp_path: Path) -> None:
    put(tmp_path / "mine", "a", "b")
    put(tmp_path / "other", "c")
    data = open_data(tmp_path / "mine", tmp_path / "other")
    assert (names(data.train), names(data.val)) == (["a", "b"], ["c"])


def test_a_validation_folder_goes_before_the_datas_own(tmp_path: Path) -> None:
    put(tmp_path / "mine/train", "a", "b")
    put(tmp_path / "mine/val", "c")
    put(tmp_path / "other", "d")
    data = open_data(tmp_path / "mine", tmp_path / "other")
    assert (names(data.train), names(data.val)) == (["a", "b"], ["d"])
    assert any("'val' is not used (1)" in line for line in data.report)


def test_validating_on_training_pictures_is_reported(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    report = open_data(tmp_path, tmp_path).report
    assert any("in both the training and the validation set: 2 (a.jpg, b.jpg)" in line for line in report)


def test_test_stands_in_for_a_missing_val(tmp_path: Path) -> None:
    put(tmp_path / "train", "a", "b")
    put(tmp_path / "test", "c")
    assert names(open_data(tmp_path).val) == ["c"]
    put(tmp_path / "val", "d")
    data = open_data(tmp_path)
    assert names(data.val) == ["d"]
    assert any("'test' is not used (1)" in line for line in data.report)


def test_an_empty_val_is_reported_and_the_names_are_split(tmp_path: Path) -> None:
    put(tmp_path / "train", "a", "b", "c")
    (tmp_path / "val").mkdir()
    data = open_data(tmp_path)
    assert (len(data.train), len(data.val)) == (2, 1)
    assert any(line.startswith("warning: no picture with its mask in") for line in data.report)


def test_evaluation_takes_the_held_out_part_alone(tmp_path: Path) -> None:
    put(tmp_path / "train", "a", "b")
    put(tmp_path / "val", "c")
    pairs, report = find_pairs(tmp_path)
    assert [pair.name for pair in pairs] == ["c"]
    assert any("'train' is not used (2)" in line for line in report)


def test_everything_left_out_is_in_the_report(tmp_path: Path) -> None:
    put(tmp_path, *"abcdef")
    (tmp_path / "masks/a.png").unlink()
    (tmp_path / "images/b.jpg").unlink()
    (tmp_path / "images/c.jpg").write_bytes((tmp_path / "images/c.jpg").read_bytes()[:-20])
    cv2.imwrite(str(tmp_path / "masks/d.png"), np.zeros((3, 9), np.uint8))
    data = open_data(tmp_path)
    assert sorted(names(data.train) + names(data.val)) == ["e", "f"]
    report = "\n".join(data.report)
    assert "without a mask, left out: 1 (a.jpg)" in report
    assert "without a picture, left out: 1 (b.png)" in report
    assert "broken file, left out: 1 (" in report
    assert "c.jpg is a truncated JPEG" in report
    assert "unequal shape, left out: 1 (d.jpg is 8x6 px, its mask d.png 9x3)" in report


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(("value", "said"), [(0, "are empty"), (255, "are full")])
def test_an_all_zero_or_all_255_part_is_reported(tmp_path: Path, part: str, value: int, said: str) -> None:
    put(tmp_path / "train", "a", "b")
    put(tmp_path / "val", "c")
    for mask in (tmp_path / part / "masks").iterdir():
        cv2.imwrite(str(mask), np.full((6, 8), value, np.uint8))
    assert sum(said in line for line in open_data(tmp_path).report) == 1


def test_a_file_that_breaks_later_is_an_input_error(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    source = Folder(find_pairs(tmp_path)[0])
    (tmp_path / "images/a.jpg").unlink()
    with pytest.raises(InputError, match=r"a\.jpg"):
        source.load(0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5])
def test_a_share_outside_zero_and_one_is_refused(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        open_data(tmp_path, val_fraction=fraction)


@pytest.mark.parametrize("opener", [open_data, find_pairs])
def test_missing_and_empty_folders_are_refused(tmp_path: Path, opener) -> None:
    with pytest.raises(InputError, match="the folder is empty"):
        opener(tmp_path)
    with pytest.raises(InputError, match="there is no"):
        opener(tmp_path / "none")


def test_a_csv_is_opened_like_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    (tmp_path / "pairs.csv").write_text("image,mask\nimages/a.jpg,masks/a.png\nimages/b.jpg,masks/b.png\n")
    data = open_data(tmp_path / "pairs.csv")
    assert sorted(names(data.train) + names(data.val)) == ["images/a", "images/b"]


def test_without_a_folder_the_portraits_are_drawn(tmp_path: Path) -> None:
    data = open_data(None, seed=3, size=64)
    assert "synthetic" in data.report[0]
    assert "--data DIR" in data.report[0]
    first, other = data.train.load(0), data.val.load(0)
    assert (first[0].shape, first[1].shape) == ((64, 64, 3), (64, 64))
    assert not np.array_equal(first[0], other[0])  # validation never sees a training picture
    assert np.array_equal(open_data(None, seed=3, size=64).train.load(0)[0], first[0])


def test_drawn_portraits_can_be_validated_on_real_ones(tmp_path: Path) -> None:
    put(tmp_path, "a")
    assert names(open_data(None, tmp_path, size=64).val) == ["a"]
