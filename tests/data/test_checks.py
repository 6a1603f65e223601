"""Pairs with something wrong: which are left out, which are mended, and what is said."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from portraitseg.data.checks import check_masks, check_pairs, load_pair
from portraitseg.data.pairs import Pair
from portraitseg.errors import InputError


def pair(folder: Path, name: str, size: tuple[int, int] = (40, 60), mask: np.ndarray | None = None) -> Pair:
    """A picture of `size` (h,w) and a mask, by default with the person on the left."""
    picture = np.random.default_rng(5).integers(0, 256, (*size, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / f"{name}.jpg"), picture)
    cv2.imwrite(str(folder / f"{name}.png"), left(size) if mask is None else mask)
    return Pair(name, folder / f"{name}.jpg", folder / f"{name}.png")


def left(size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    mask[:, : size[1] // 2] = 255
    return mask


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_good_pairs_pass_without_a_word(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, "a"), pair(tmp_path, "b")]
    assert check_pairs(pairs, tmp_path) == (pairs, [])


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_truncated_files_are_left_out_and_listed(tmp_path: Path, suffix: str) -> None:
    pairs = [pair(tmp_path, name) for name in "abc"]
    cut(tmp_path / f"b.{suffix}")
    good, (line,) = check_pairs(pairs, tmp_path)
    assert [item.name for item in good] == ["a", "c"]
    assert line.startswith("warning: pairs with a broken file, left out: 1 (")
    assert f"b.{suffix} is a truncated" in line


def test_a_text_named_jpg_and_an_empty_file_are_left_out(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, name) for name in "abc"]
    (tmp_path / "a.jpg").write_text("not a picture\n")
    (tmp_path / "b.png").write_bytes(b"")
    good, (line,) = check_pairs(pairs, tmp_path)
    assert [item.name for item in good] == ["c"]
    assert "left out: 2 (" in line
    assert "a.jpg" in line
    assert "b.png is empty" in line


def test_nothing_but_broken_pairs_is_an_error(tmp_path: Path) -> None:
    pairs = [pair(tmp_path, name) for name in "ab"]
    for item in pairs:
        cut(item.image)
    with pytest.raises(InputError, match="none of the 2 pairs") as caught:
        check_pairs(pairs, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "a.jpg" in str(caught.value)
    assert "replace the files" in str(caught.value)


def test_a_mask_of_another_resolution_is_resized(tmp_path: Path) -> None:
    item = pair(tmp_path, "a", (40, 60), left((81, 120)))  # 1.25% off
    good, (line,) = check_pairs([item], tmp_path)
    assert good == [item]
    assert line == "warning: masks of their picture's shape but another size, resized to it: 1 (a.jpg is 60x40 px, its mask a.png 120x81)"
    picture, mask = load_pair(item)
    assert picture.shape == (40, 60, 3)
    assert np.array_equal(mask, left((40, 60)))


def test_a_mask_of_another_shape_is_left_out(tmp_path: Path) -> None:
    item = pair(tmp_path, "a", (40, 60), left((42, 60)))  # 5% off
    good, (line,) = check_pairs([item, pair(tmp_path, "b")], tmp_path)
    assert [one.name for one in good] == ["b"]
    assert line == "warning: pairs of unequal shape, left out: 1 (a.jpg is 60x40 px, its mask a.png 60x42)"
    with pytest.raises(InputError, match=r"its mask a\.png 60x42"):
        load_pair(item)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_drawn_on_the_stored_picture_is_turned_with_it(tmp_path: Path, orientation: int) -> None:
    """The picture is its own mask's twin: left half white as stored. Upright, the two must still agree."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.repeat(left((40, 60))[..., None], 3, axis=2)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    cv2.imwrite(str(tmp_path / "a.png"), left((40, 60)))
    item = Pair("a", tmp_path / "a.jpg", tmp_path / "a.png")
    good, (line,) = check_pairs([item], tmp_path)
    assert good == [item]
    assert "turned upright" in line
    picture, mask = load_pair(item)
    assert mask.shape == (60, 40)
    assert np.array_equal(picture[..., 0] > 127, mask > 127)


def test_a_mask_drawn_on_the_upright_picture_is_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    cv2.imwrite(str(tmp_path / "a.png"), left((60, 40)))
    item = Pair("a", tmp_path / "a.jpg", tmp_path / "a.png")
    assert check_pairs([item], tmp_path) == ([item], [])
    picture, mask = load_pair(item)
    assert picture.shape == (60, 40, 3)
    assert np.array_equal(mask, left((60, 40)))


def test_one_pixel_pairs_are_loaded(tmp_path: Path) -> None:
    item = pair(tmp_path, "a", (1, 1), np.full((1, 1), 255, np.uint8))
    assert check_pairs([item], tmp_path) == ([item], [])
    picture, mask = load_pair(item)
    assert (picture.shape, mask.tolist()) == ((1, 1, 3), [[255]])


@pytest.mark.parametrize("stored", ["grey", "16-bit", "CMYK", "RGBA", "animated"])
def test_every_kind_of_picture_is_loaded(tmp_path: Path, stored: str) -> None:
    item = pair(tmp_path, "a")
    ramp = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
    rgb = Image.fromarray(np.repeat(ramp[..., None], 3, axis=2))
    path = tmp_path / {"CMYK": "p.jpg", "animated": "p.gif"}.get(stored, "p.png")
    if stored == "16-bit":
        cv2.imwrite(str(path), ramp.astype(np.uint16) * 257)
    elif stored == "animated":
        rgb.save(path, save_all=True, append_images=[Image.new("RGB", (60, 40))])
    else:
        rgb.convert({"grey": "L", "CMYK": "CMYK", "RGBA": "RGBA"}[stored]).save(path)
    item = Pair("a", path, item.mask)
    assert check_pairs([item], tmp_path) == ([item], [])
    picture, mask = load_pair(item)
    assert picture.shape == (40, 60, 3)
    assert np.abs(picture.astype(int) - ramp[..., None]).mean() < 4
    assert np.array_equal(mask, left((40, 60)))


def test_the_alpha_is_the_mask_where_the_files_are_one(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([np.full((40, 60, 3), 9, np.uint8), left((40, 60))]))
    picture, mask = load_pair(Pair("a", tmp_path / "a.png", tmp_path / "a.png"))
    assert picture.max() == 9
    assert np.array_equal(mask, left((40, 60)))


def test_a_picture_that_lost_its_alpha_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match="no alpha"):
        load_pair(Pair("a", tmp_path / "a.png", tmp_path / "a.png"))


@pytest.mark.parametrize(("value", "said"), [(0, "all 200 masks are empty"), (255, "all 200 masks are full"), (38, "the brightest is 38")])
def test_a_set_without_figure_or_ground_is_reported(tmp_path: Path, value: int, said: str) -> None:
    pairs = [pair(tmp_path, str(i), (4, 4), np.full((4, 4), value, np.uint8)) for i in range(200)]
    (line,) = check_masks(pairs)
    assert said in line


def test_one_good_mask_among_empty_ones_is_found(tmp_path: Path) -> None:
    """However the masks are sampled, "all are empty" must be true when it is said."""
    pairs = [pair(tmp_path, str(i), (4, 4), np.zeros((4, 4), np.uint8)) for i in range(200)]
    cv2.imwrite(str(pairs[131].mask), left((4, 4)))
    assert check_masks(pairs) == []


def test_zero_and_one_masks_are_not_taken_for_empty(tmp_path: Path) -> None:
    assert check_masks([pair(tmp_path, "a", (4, 4), left((4, 4)) // 255)]) == []


def test_several_labels_in_the_palette_are_reported(tmp_path: Path) -> None:
    item = pair(tmp_path, "a", (2, 2))
    labels = Image.fromarray(np.array([[0, 7], [15, 255]], np.uint8), mode="P")
    labels.putpalette(np.arange(768).astype(np.uint8).tobytes())
    labels.save(item.mask)
    (line,) = check_masks([item])
    assert "several labels, 2 (15, 7)" in line


def test_a_palette_of_greys_is_not_taken_for_labels(tmp_path: Path) -> None:
    item = pair(tmp_path, "a", (2, 2))
    soft = Image.fromarray(np.array([[0, 7], [15, 255]], np.uint8), mode="P")
    soft.putpalette(np.repeat(np.arange(256), 3).astype(np.uint8).tobytes())
    soft.save(item.mask)
    assert check_masks([item]) == []
    assert load_pair(item)[1].tolist() == [[0, 7], [15, 255]]
