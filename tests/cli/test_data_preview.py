from pathlib import Path

import numpy as np
import pytest

from portraitseg import image
from portraitseg.cli import main

GREEN = (0, 255, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six flat grey pictures with a square in the middle as the person, whose mask is that square."""
    root = tmp_path / "set"
    for index in range(6):
        picture = np.full((96, 96, 3), 60 + 20 * index, np.uint8)
        mask = np.zeros((96, 96), np.uint8)
        mask[24:72, 24:72] = 255
        image.write(root / "images" / f"{index}.png", picture)
        image.write(root / "masks" / f"{index}.png", mask)
    return root


def preview(*words: object) -> int:
    return main(argv=["data", "preview", *map(str, words)])


def test_the_sheet_shows_samples_of_the_size_with_their_masks_outlined(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert preview("--data", folder, "--out", sheet, "--count", 4, "--size", 64, "--augment", "none") == 0
    drawn = image.read(sheet)
    assert drawn.shape[1] == 3 * 64 + 4 * 4  # three columns of 64 px, gaps of 4
    cell = drawn[4:68, 4:68]
    outline = (cell == GREEN).all(-1)
    rows, columns = np.nonzero(outline)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (16, 47, 16, 47)  # 24 and 71 of 96 px, in 64
    assert outline.sum() == 4 * 31
    assert len(np.unique(cell[~outline])) == 1


def test_more_samples_than_the_set_has_are_drawn_again(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview("--data", folder, "--out", tmp_path / "sheet.png", "--count", 12, "--size", 32) == 0
    assert "12 samples at 32x32 px" in capsys.readouterr().out


def test_an_existing_sheet_is_kept_unless_forced(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_text("mine")
    words = ("--data", folder, "--out", sheet, "--count", 2, "--size", 32)
    assert preview(*words) == 2
    assert "--force" in capsys.readouterr().err
    assert sheet.read_text() == "mine"
    assert preview(*words, "--force") == 0
    assert image.read(sheet).shape[1] == 2 * 32 + 3 * 4


def test_priors_stand_beside_their_pictures(folder: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    words = ("--data", folder, "--out", sheet, "--count", 4, "--size", 64, "--augment", "none", "--priors", "--prior-empty")
    assert preview(*words, 1) == 0
    assert image.read(sheet)[4:68, 68:132].max() == 0  # the right half of the first cell
    assert preview(*words, 0, "--force") == 0
    prior = image.read(sheet)[4:68, 68:132, 0]
    assert 0.6 * 32**2 < prior.sum() / 255 < 1.5 * 32**2  # the square of 32 px, moved


def test_composites_have_the_new_background_and_the_old_mask(folder: Path, tmp_path: Path) -> None:
    blue = np.tile(np.array([20, 40, 230], np.uint8), (50, 70, 1))
    image.write(tmp_path / "scenes/a.png", blue)
    sheet = tmp_path / "sheet.png"
    words = ("--data", folder, "--out", sheet, "--count", 4, "--size", 64, "--augment", "none", "--backgrounds", tmp_path / "scenes")
    assert preview(*words, "--composite", 1) == 0
    cell = image.read(sheet)[4:68, 4:68]
    assert (cell[:14, :14] == blue[0, 0]).all()
    assert np.ptp(cell[20:44, 20:44], axis=2).max() < 12  # the person is still grey
    assert (cell == GREEN).all(-1).sum() == 4 * 31
    assert preview(*words, "--negatives", 1, "--force") == 0
    assert (image.read(sheet)[4:68, 4:68] == blue[0, 0]).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--count", 0), "count must be between 1 and 400"),
        (("--size", 100), "multiple of 32"),
        (("--arch", "nothing"), "unknown arch"),
        (("--data", "missing"), "missing"),
        (("--out", "sheet.gif"), "png"),
        (("--composite", 0.5), "--backgrounds DIR"),
        (("--negatives", 0.5, "--backgrounds", "none"), "no folder none"),
        (("--prior-empty", 2), "0 to 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: tuple[object, ...],
    message: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    rest = ("--data", folder) if "--data" not in words else ()
    assert preview(*rest, *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.glob("*.png")) == []


def test_without_data_the_drawn_set_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview("--out", tmp_path / "sheet.png", "--count", 2, "--size", 64) == 0
    assert "synthetic" in capsys.readouterr().out
    assert image.read(tmp_path / "sheet.png").shape[1] == 2 * 64 + 3 * 4
