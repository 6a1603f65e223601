"""Every way that masks are stored, from hand-made arrays whose meaning is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from portraitseg import image, masks

TRUTH = np.array([[0, 255, 255], [0, 0, 255]], np.uint8)
SOFT = np.array([[0, 64, 255], [3, 128, 200]], np.uint8)


def saved(path: Path, values: np.ndarray) -> np.ndarray:
    cv2.imwrite(str(path), values)
    return image.read_mask(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("person", [1, 255])
def test_zero_and_one_or_255(tmp_path: Path, dtype, person: int) -> None:
    assert np.array_equal(saved(tmp_path / "m.png", (TRUTH // 255).astype(dtype) * dtype(person)), TRUTH)


def test_soft_values_stay(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "m.png", SOFT), SOFT)


def test_soft_sixteen_bits_become_eight(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "m.png", SOFT.astype(np.uint16) * 257), SOFT)


def test_floats_between_zero_and_one(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "m.tiff", SOFT.astype(np.float32) / 255), SOFT)


def test_one_bit(tmp_path: Path) -> None:
    Image.fromarray(TRUTH).convert("1").save(tmp_path / "m.png")
    assert np.array_equal(image.read_mask(tmp_path / "m.png"), TRUTH)


def test_all_zero_stays_zero(tmp_path: Path) -> None:
    assert not saved(tmp_path / "m.png", TRUTH * 0).any()


def test_grey_in_three_channels(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "m.png", np.repeat(SOFT[..., None], 3, axis=2)), SOFT)


def test_zero_and_one_in_three_channels(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "m.png", np.repeat(TRUTH[..., None] // 255, 3, axis=2)), TRUTH)


def test_a_colour_on_black(tmp_path: Path) -> None:
    coloured = np.where(TRUTH[..., None] > 0, (128, 0, 60), 0).astype(np.uint8)
    assert np.array_equal(saved(tmp_path / "m.png", coloured), TRUTH)


def test_a_jpeg_mask_keeps_its_halves(tmp_path: Path) -> None:
    big = np.kron(TRUTH, np.ones((32, 32), np.uint8))
    Image.fromarray(np.repeat(big[..., None], 3, axis=2)).save(tmp_path / "m.jpg", quality=60)
    assert np.array_equal(image.read_mask(tmp_path / "m.jpg") > 127, big > 127)


def test_the_alpha_of_a_cut_out(tmp_path: Path) -> None:
    assert np.array_equal(saved(tmp_path / "m.png", np.dstack([np.full((2, 3, 3), 90, np.uint8), SOFT])), SOFT)


def test_an_alpha_of_255_everywhere_is_no_mask(tmp_path: Path) -> None:
    opaque = np.dstack([np.repeat(SOFT[..., None], 3, axis=2), np.full_like(SOFT, 255)])
    assert np.array_equal(saved(tmp_path / "m.png", opaque), SOFT)


def palette(path: Path, labels: np.ndarray, colours: dict[int, tuple[int, int, int]]) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    for label, colour in colours.items():
        table[label] = colour
    picture = Image.fromarray(labels.astype(np.uint8), mode="P")
    picture.putpalette(table.tobytes())
    picture.save(path)
    assert masks.is_palette(path)
    return image.read_mask(path)


def test_a_coloured_palette_marks_labels_and_the_void_is_half(tmp_path: Path) -> None:
    labels = np.array([[0, 15, 15], [0, 255, 15]])
    read = palette(tmp_path / "m.png", labels, {15: (192, 128, 128), 255: (224, 224, 192)})
    assert read.tolist() == [[0, 255, 255], [0, 127, 255]]


def test_label_zero_is_background_whatever_its_colour(tmp_path: Path) -> None:
    read = palette(tmp_path / "m.png", TRUTH // 255, {0: (68, 1, 84), 1: (253, 231, 37)})
    assert np.array_equal(read, TRUTH)


def test_a_palette_of_greys_holds_soft_values(tmp_path: Path) -> None:
    read = palette(tmp_path / "m.png", np.array([[0, 1, 2], [0, 0, 2]]), {1: (100, 100, 100), 2: (255, 255, 255)})
    assert read.tolist() == [[0, 100, 255], [0, 0, 255]]


def test_a_palette_that_was_never_filled_in_still_has_labels(tmp_path: Path) -> None:
    assert np.array_equal(palette(tmp_path / "m.png", TRUTH // 255, {}), TRUTH)


def test_a_palette_needs_pillow_and_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    palette(tmp_path / "m.png", TRUTH // 255, {})
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(ImportError, match="pip install"):
        image.read_mask(tmp_path / "m.png")
