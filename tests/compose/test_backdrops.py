"""Backdrops: colours, pictures, slideshows and videos, drawn by the tests themselves."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import image
from portraitseg.compose import looped_video
from portraitseg.compose.backdrops import open_backdrop
from portraitseg.compose.fit import fitted
from portraitseg.errors import InputError

FPS = 10


def write_video(path: Path, greys: list[int], size: tuple[int, int] = (48, 64)) -> Path:
    """Frames of one grey each, MPEG-4."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, size[::-1])
    for grey in greys:
        video.write(np.full((*size, 3), grey, np.uint8))
    video.release()
    return path


def write_pictures(folder: Path, **greys: int) -> Path:
    folder.mkdir(exist_ok=True)
    for name, grey in greys.items():
        image.write(folder / f"{name}.png", np.full((6, 8, 3), grey, np.uint8))
    return folder


def shown(backdrop, *times: float) -> list[int]:
    """The mean grey of the picture at each time."""
    return [round(float(backdrop((48, 64), seconds).mean())) for seconds in times]


def test_a_colour_is_drawn_once_for_each_size() -> None:
    backdrop = open_backdrop("10,20,30")
    first = backdrop((4, 5), 0.0)
    assert first.shape == (4, 5, 3)
    assert (first == (10, 20, 30)).all()
    assert backdrop((4, 5), 9.0) is first
    assert backdrop((1, 1), 9.0).tolist() == [[[10, 20, 30]]]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_a_picture_is_read_and_fitted_once(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, red=70)
    backdrop = open_backdrop(str(folder / "red.png"))
    (folder / "red.png").unlink()
    first = backdrop((48, 64), 0.0)
    assert (first == 70).all()
    assert backdrop((48, 64), 1.0) is first
    assert backdrop((2, 3), 1.0).shape == (2, 3, 3)


@pytest.mark.parametrize("shape", [(20, 60), (60, 20), (40, 40), (1, 1)])
@pytest.mark.parametrize("size", [(40, 40), (30, 60), (1, 1), (7, 3)])
def test_crop_fill_and_fit(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """A picture with rows and columns as its colours: which of them are seen tells what was done."""
    rows, columns = np.linspace(0, 250, shape[0]), np.linspace(0, 250, shape[1])
    picture = np.dstack([*np.meshgrid(rows, columns, indexing="ij"), np.full(shape, 255)]).round().astype(np.uint8)
    filled, cropped, whole = (fitted(picture, size, fit, "black") for fit in ("fill", "crop", "fit"))
    assert {part.shape for part in (filled, cropped, whole)} == {(*size, 3)}
    assert (filled[..., 2] == 255).all()
    assert (cropped[..., 2] == 255).all()
    seen = whole[..., 2] == 255
    height, width = seen.any(axis=1).sum(), seen.any(axis=0).sum()
    scale = min(size[0] / shape[0], size[1] / shape[1])
    assert (height, width) == tuple(max(1, min(full, round(side * scale))) for side, full in zip(shape, size, strict=True))
    assert seen.sum() == height * width
    if min(*shape, *size) > 3:
        assert np.ptp(filled[..., 0]) > 200
        assert np.ptp(filled[..., 1]) > 200
        share = min(1, shape[1] / shape[0] * size[0] / size[1]), min(1, shape[0] / shape[1] * size[1] / size[0])
        assert np.ptp(cropped[..., 0].astype(int)) == pytest.approx(250 * share[0], abs=25)
        assert np.ptp(cropped[..., 1].astype(int)) == pytest.approx(250 * share[1], abs=25)
        assert cropped[..., 0].mean() == pytest.approx(125, abs=5)  # the centre


def test_a_blurred_border_continues_the_picture() -> None:
    picture = np.full((40, 20, 3), (200, 40, 90), np.uint8)
    assert np.abs(fitted(picture, (40, 80), "fit", "blur").astype(int) - picture[0, 0]).max() <= 1


def test_a_slideshow_goes_by_the_clock(tmp_path: Path) -> None:
    backdrop = open_backdrop(str(write_pictures(tmp_path, a=10, b=20, c=30)), seconds=2)
    assert shown(backdrop, 0, 1.9, 2, 3.9, 4, 6, 8) == [10, 10, 20, 20, 30, 10, 20]
    assert shown(backdrop, 100, 0, 4) == [30, 10, 30]  # 100 / 2 = 50 = 16 * 3 + 2
    assert backdrop((48, 64), 4.0) is backdrop((48, 64), 5.0)
    backdrop.close()
    backdrop.close()


def test_a_slideshow_leaves_out_what_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_pictures(tmp_path, a=10, c=30)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "0.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("not looked at")
    backdrop = open_backdrop(str(folder), seconds=1)
    assert set(shown(backdrop, *range(10))) == {10, 30}
    assert shown(backdrop, 20, 21)[0] != shown(backdrop, 21)[0]
    warnings = capsys.readouterr().err.splitlines()
    named = re.findall(r"(\S+) is (?:empty|broken)", "\n".join(warnings))
    assert sorted(named) == [str(folder / name) for name in ("0.jpg", "b.png")]
    assert len(warnings) == 2


def test_a_slideshow_whose_files_go_keeps_its_picture(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, a=10, b=20)
    backdrop = open_backdrop(str(folder), seconds=1)
    for path in folder.iterdir():
        path.unlink()
    assert shown(backdrop, 0)[0] == 10
    assert set(shown(backdrop, 1, 2, 3, 4)) <= {10, 20}


def test_a_video_goes_by_the_clock_and_round(tmp_path: Path) -> None:
    backdrop = open_backdrop(str(write_video(tmp_path / "a.mp4", [20, 60, 100, 140])))
    assert shown(backdrop, 0, 0.05, 0.1, 0.3, 0.4, 0.5, 0.9) == pytest.approx([20, 20, 60, 140, 20, 60, 60], abs=6)
    assert shown(backdrop, 1e6, 1e6 + 0.2) == pytest.approx([20, 100], abs=6)  # ten million frames on, in no time
    assert shown(backdrop, 0.1) == pytest.approx([60], abs=6)  # back in time
    assert backdrop((48, 64), 0.1) is backdrop((48, 64), 0.15)
    assert backdrop((5, 3), 0.1).shape == (5, 3, 3)
    backdrop.close()
    backdrop.close()


def test_a_video_colours_are_rgb(tmp_path: Path) -> None:
    video = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    video.write(np.full((48, 64, 3), (0, 0, 220), np.uint8))  # BGR: red
    video.release()
    assert open_backdrop(str(tmp_path / "a.avi"))((48, 64), 7.0).mean(axis=(0, 1)) == pytest.approx([220, 0, 0], abs=12)


def test_a_video_that_breaks_in_the_middle_begins_anew(tmp_path: Path) -> None:
    greys = [20 + 5 * number for number in range(40)]
    path = tmp_path / "a.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    for grey in greys:
        video.write(np.full((48, 64, 3), grey, np.uint8))
    video.release()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    backdrop = open_backdrop(str(path))
    seen = shown(backdrop, *(number / FPS for number in range(60)))
    first = [number for number, grey in enumerate(seen) if abs(grey - 20) <= 3]
    assert first[0] == 0
    assert 5 < first[1] < 30  # about half of it was there, and then again
    assert seen[: first[1]] == pytest.approx(greys[: first[1]], abs=4)
    assert shown(backdrop, (1000 * first[1] + 3) / FPS) == pytest.approx([greys[3]], abs=4)  # it counts by what it found


def test_a_video_that_opens_again_without_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    class Empty:
        def grab(self) -> bool:
            return False

        def read(self) -> tuple[bool, None]:
            return False, None

        def set(self, *what: float) -> bool:
            return False

        release = grab

    backdrop = open_backdrop(str(write_video(tmp_path / "a.mp4", [20, 60])))
    backdrop._video._capture = Empty()
    monkeypatch.setattr(looped_video, "_opened", lambda path: Empty())
    assert shown(backdrop, 0, 0.1, 0.2, 5) == pytest.approx([20] * 4, abs=3)
    assert capsys.readouterr().err.count("warning") == 1


def test_a_video_that_goes_keeps_its_last_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_video(tmp_path / "a.mp4", [20, 60])
    backdrop = open_backdrop(str(path))
    backdrop._video._capture.release()  # as if its disk were pulled out
    path.unlink()
    assert shown(backdrop, 0, 0.1, 0.2, 5) == pytest.approx([20] * 4, abs=3)
    assert capsys.readouterr().err.count("warning") == 1


def test_a_long_video_is_not_held_in_memory(tmp_path: Path) -> None:
    backdrop = open_backdrop(str(write_video(tmp_path / "a.mp4", list(range(0, 250, 2)))))
    seen = {id(backdrop((48, 64), number / FPS).base) for number in range(125)}
    assert len(seen) < 125
    assert sum(value.nbytes for value in vars(backdrop._video).values() if isinstance(value, np.ndarray)) == 48 * 64 * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file exists; give a picture"),
        (lambda path: path.write_bytes(b""), r"empty \(0 bytes\); give a picture"),
        (lambda path: path.write_bytes(b"x" * 1000), "no video or picture that can be read; give"),
        (lambda path: path.mkdir(), "no pictures in .*; a slideshow takes"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, make, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    make(tmp_path / "thing.mp4")
    with pytest.raises(InputError, match=message) as caught:
        open_backdrop(str(tmp_path / "thing.mp4"))
    assert "\n" not in str(caught.value)
    assert not capfd.readouterr().err


def test_a_folder_of_broken_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"no picture in .* can be read; replace the files"):
        open_backdrop(str(tmp_path))


def test_a_video_without_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [])
    with pytest.raises(InputError, match=r"a\.mp4"):
        open_backdrop(str(path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"fit": "tile"}, "one of crop, fill, fit, got 'tile'"), ({"border": "red"}, '"blur" or "black"'), ({"seconds": 0}, "more than 0")],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_backdrop("white", **settings)
