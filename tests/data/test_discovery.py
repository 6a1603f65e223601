"""Folders as people have them, and the pairs that must come out."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg.data.discovery import discover
from portraitseg.errors import InputError


def put(root: Path, *names: str, channels: int = 3) -> None:
    """Write a small picture for each name; RGBA for four channels."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((4, 4, channels), 200, np.uint8))


def found(root: Path, split: str = "") -> dict[str, tuple[str, str]]:
    """Name -> picture and mask, relative to `root`."""
    pairs = discover(root).pairs.get(split, [])
    return {pair.name: (pair.image.relative_to(root).as_posix(), pair.mask.relative_to(root).as_posix()) for pair in pairs}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("img", "labels"),
        ("imgs", "annotations"),
        ("image", "mask"),
        ("photos", "matte"),
        ("JPEGImages", "SegmentationClass"),
    ],
)
def test_two_folders_with_equal_stems(tmp_path: Path, images: str, masks: str) -> None:
    put(tmp_path, f"{images}/a.jpg", f"{images}/b.png", f"{masks}/a.png", f"{masks}/b.png")
    assert found(tmp_path) == {"a": (f"{images}/a.jpg", f"{masks}/a.png"), "b": (f"{images}/b.png", f"{masks}/b.png")}


def test_a_mask_may_say_in_its_name_that_it_is_one(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a_mask.png", "masks/b-matte.png")
    assert {name: mask for name, (_, mask) in found(tmp_path).items()} == {"a": "masks/a_mask.png", "b": "masks/b-matte.png"}


def test_folders_below_are_followed_and_need_not_agree(tmp_path: Path) -> None:
    put(tmp_path, "clip_img/1/clip_0/a.jpg", "matting/1/matting_0/a.png", "clip_img/same/b.jpg", "matting/same/b.png")
    assert found(tmp_path) == {
        "1/clip_0/a": ("clip_img/1/clip_0/a.jpg", "matting/1/matting_0/a.png"),
        "same/b": ("clip_img/same/b.jpg", "matting/same/b.png"),
    }


def test_equal_file_names_in_several_folders_are_not_guessed(tmp_path: Path) -> None:
    put(tmp_path, "images/x/a.jpg", "images/y/a.jpg", "masks/z/a.png", "images/c.jpg", "masks/c.png")
    assert list(found(tmp_path)) == ["c"]


def test_train_and_val_above(tmp_path: Path) -> None:
    put(tmp_path, "train/images/a.jpg", "train/masks/a.png", "Validation/img/b.jpg", "Validation/labels/b.png")
    assert list(found(tmp_path, "train")) == ["a"]
    assert list(found(tmp_path, "val")) == ["b"]


def test_train_and_val_below(tmp_path: Path) -> None:
    put(tmp_path, "images/train/a.jpg", "masks/train/a.png", "images/val/b.jpg", "masks/val/b.png")
    assert list(found(tmp_path, "train")) == ["train/a"]
    assert list(found(tmp_path, "val")) == ["val/b"]


@pytest.mark.parametrize("ending", ["_mask", "_matte", "_alpha", "-mask", ".matte"])
def test_one_folder_with_suffixes(tmp_path: Path, ending: str) -> None:
    put(tmp_path, "a.jpg", f"a{ending}.png", "b.jpg", f"b{ending}.png")
    assert found(tmp_path) == {"a": ("a.jpg", f"a{ending}.png"), "b": ("b.jpg", f"b{ending}.png")}


def test_rgba_pictures_are_their_own_masks(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.png", channels=4)
    put(tmp_path, "c.jpg")
    assert found(tmp_path) == {"a": ("a.png", "a.png"), "b": ("b.png", "b.png")}
    assert discover(tmp_path).without_mask == ["c.jpg"]


def test_rgba_pictures_inside_images_and_splits(tmp_path: Path) -> None:
    put(tmp_path, "train/images/a.png", "val/b.png", channels=4)
    assert list(found(tmp_path, "train")) == ["a"]
    assert list(found(tmp_path, "val")) == ["b"]


def test_a_csv_in_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "x/1.jpg", "y/2.png")
    (tmp_path / "pairs.csv").write_text("image,mask\nx/1.jpg,y/2.png\n")
    assert found(tmp_path) == {"x/1": ("x/1.jpg", "y/2.png")}


def test_the_top_folder_of_an_archive_is_entered(tmp_path: Path) -> None:
    put(tmp_path, "portraits-v2/images/a.jpg", "portraits-v2/masks/a.png", "__MACOSX/images/._a.jpg")
    assert list(found(tmp_path)) == ["a"]


def test_annotation_folders_without_pictures_are_passed_over(tmp_path: Path) -> None:
    """PASCAL VOC: Annotations/ holds XML, the masks are in SegmentationClass/."""
    put(tmp_path, "JPEGImages/a.jpg", "SegmentationClass/a.png")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/a.xml").write_text("<annotation/>")
    assert found(tmp_path) == {"a": ("JPEGImages/a.jpg", "SegmentationClass/a.png")}


def test_files_without_a_partner_are_counted_and_five_are_named(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg", "masks/a.png", *(f"images/lonely{i}.jpg" for i in range(7)), "masks/orphan.png")
    assert list(found(tmp_path)) == ["a"]
    assert discover(tmp_path).left_out() == [
        "warning: pictures without a mask, left out: 7 (lonely0.jpg, lonely1.jpg, lonely2.jpg, lonely3.jpg, lonely4.jpg and 2 more)",
        "warning: masks without a picture, left out: 1 (orphan.png)",
    ]


def test_files_without_a_partner_in_one_folder(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "a_mask.png", "b.jpg", "c_mask.png")
    result = discover(tmp_path)
    assert (result.without_mask, result.without_image) == (["b.jpg"], ["c_mask.png"])


def test_doubles_are_told(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg", "images/a.png", "masks/a.png")
    assert discover(tmp_path).doubles == ["a.png"]


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "images/a.jpg", "images/.hidden.jpg", "masks/a.png")
    (tmp_path / "images/Thumbs.db").write_bytes(b"x")
    (tmp_path / "readme.txt").write_text("x")
    assert list(found(tmp_path)) == ["a"]
    assert discover(tmp_path).left_out() == []


def test_an_empty_split_is_told(tmp_path: Path) -> None:
    put(tmp_path, "train/images/a.jpg", "train/masks/a.png")
    (tmp_path / "val").mkdir()
    (note,) = discover(tmp_path).notes
    assert str(tmp_path / "val") in note
    assert "empty" in note


def refused(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        discover(root)
    assert str(root) in str(caught.value)
    assert "images/ and masks/" in str(caught.value)  # what is allowed
    return str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "there is no" in refused(tmp_path / "nothing")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "the folder is empty" in refused(tmp_path)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("x")
    assert "it holds letter.txt" in refused(tmp_path)


def test_pictures_without_any_mask(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    assert "pictures without a mask, left out: 2 (a.jpg, b.jpg)" in refused(tmp_path)


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    assert "neither a folder nor a CSV" in refused(tmp_path / "a.jpg")
