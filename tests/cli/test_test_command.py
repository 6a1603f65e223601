"""The `test` command, on a net whose prob is known: the red of each pixel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import image as pictures
from portraitseg.card import UNIT, Card
from portraitseg.cli import main
from portraitseg.cli.test import SAMPLE

ROOT = Path(__file__).parents[2]
PEAK_MB = 200
HEAVY = {"tensorflow", "tf_keras", "keras", "matplotlib", "PIL", "scipy", "albumentations"}
CHILD = """
import json, sys
from pathlib import Path
from portraitseg.cli import main
code = main("test", sys.argv[1:])
peak = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")][0]
print(json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules}), "peak_mb": int(peak.split()[1]) / 1024}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact for 32x32 px: prob = red / 255."""
    import tensorflow as tf

    kernel = tf.constant([1.0, 0.0, 0.0], shape=(1, 1, 3, 1))
    red = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), input_signature=[tf.TensorSpec((1, 32, 32, 3))])
    path = tmp_path_factory.mktemp("model") / "red.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([red.get_concrete_function()]).convert())
    Card(arch="red", wm=1.0, size=(32, 32), input=UNIT, output="prob").save(path.with_suffix(".json"))
    return path


def half_red(height: int, width: int) -> np.ndarray:
    """A picture whose left half is red, the rest blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = 200
    image[:, : width // 2] = (255, 60, 0)
    return image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pictures.write(tmp_path / "photo.png", half_red(60, 100))
    return tmp_path / "photo.png"


def run(model: Path, *arguments: object) -> int:
    return main("test", [*map(str, arguments), "--model", str(model)])


def read(path: Path) -> np.ndarray:
    """As stored, channels in RGB order."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return stored[..., [2, 1, 0, 3][: stored.shape[2]]] if stored.ndim == 3 else stored


def test_mask_cut_out_and_composite(model: Path, photo: Path, tmp_path: Path) -> None:
    assert run(model, photo, "--background", "0,250,0", "--out", tmp_path / "out") == 0
    mask, cut_out, composite = (read(tmp_path / "out" / f"photo-{name}") for name in ("mask.png", "cutout.png", "composite.jpg"))
    assert mask.shape == (60, 100)
    assert mask.dtype == np.uint8
    assert (mask[:, :46] == 255).all()
    assert (mask[:, 54:] == 0).all()
    assert len(np.unique(mask)) > 2  # soft between the halves
    assert cut_out.shape == (60, 100, 4)
    assert np.array_equal(cut_out[..., 3], mask)
    assert (cut_out[:, :46, :3] == (255, 60, 0)).all()
    assert composite.shape == (60, 100, 3)
    assert np.abs(composite[:, :44].astype(int) - (255, 60, 0)).max() <= 6  # JPEG
    assert np.abs(composite[:, 64:].astype(int) - (0, 250, 0)).max() <= 6


def test_the_process_has_no_tensorflow_and_stays_small(model: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, "--model", str(model)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["code"] == 0
    assert "cv2" in seen["modules"]  # the list is the child's
    assert not HEAVY & set(seen["modules"])
    assert seen["peak_mb"] < PEAK_MB
    size = pictures.read(SAMPLE).shape
    assert pictures.read(tmp_path / "runs/test/astronaut-composite.jpg").shape == size


def test_without_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("test", []) == 0, capsys.readouterr().err
    mask = read(tmp_path / "runs/test/astronaut-mask.png")
    assert mask[100, 225] > 200  # the forehead
    assert mask[330, 200] > 200  # the suit
    assert mask[60, 420] < 50  # the wall


@pytest.mark.parametrize("size", [(1, 1), (9, 12_000), (2_000, 3)])
def test_extreme_sizes(model: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    pictures.write(tmp_path / "odd.png", half_red(*size))
    assert run(model, tmp_path / "odd.png", "--background", "blur", "--out", tmp_path / "out") == 0
    assert {read(path).shape[:2] for path in (tmp_path / "out").iterdir()} == {size}


def test_backgrounds(model: Path, photo: Path, tmp_path: Path) -> None:
    scene = np.zeros((30, 90, 3), np.uint8)
    scene[:, 20:70] = (0, 180, 0)  # what is left of it when it covers 60x100
    pictures.write(tmp_path / "scene.png", scene)
    assert run(model, photo, "--background", tmp_path / "scene.png", "--out", tmp_path / "scene") == 0
    assert np.abs(read(tmp_path / "scene/photo-composite.jpg")[:, 64:].astype(int) - (0, 180, 0)).max() <= 6
    assert run(model, photo, "--background", "blur", "--out", tmp_path / "blur") == 0
    assert np.abs(read(tmp_path / "blur/photo-composite.jpg")[:, 64:].astype(int) - (0, 0, 200)).max() <= 6


def test_a_folder_skips_broken_photos(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "photos"
    for name in ("a.png", "a.jpg", "b.jpg"):
        pictures.write(folder / name, half_red(40, 50))
    (folder / "broken.jpg").write_bytes((folder / "b.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no photo")
    assert run(model, folder, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert "3 of 4 photos" in shown.out
    assert "1 skipped" in shown.out
    assert "broken.jpg" in shown.err
    names = {path.name for path in (tmp_path / "out").glob("*-mask.png")}
    assert names == {"a_png-mask.png", "a_jpg-mask.png", "b-mask.png"}  # a.png and a.jpg do not overwrite each other


def test_a_folder_without_a_good_photo(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no more")
    assert run(model, tmp_path, "--out", tmp_path / "out") == 2
    (tmp_path / "broken.png").unlink()
    assert run(model, tmp_path, "--out", tmp_path / "out") == 2
    assert f"no photos in {tmp_path}" in capsys.readouterr().err


def test_results_are_not_overwritten(model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photo-cutout.png").write_text("precious")
    assert run(model, photo, "--out", tmp_path) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "photo-cutout.png").read_text() == "precious"
    assert not (tmp_path / "photo-mask.png").exists()
    assert run(model, photo, "--out", tmp_path, "--force") == 0
    assert read(tmp_path / "photo-cutout.png").shape == (60, 100, 4)


def test_a_model_of_another_project(model: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(model.read_bytes())
    assert run(foreign, photo, "--out", tmp_path / "out") == 2
    assert "--input-range" in capsys.readouterr().err
    assert run(foreign, photo, "--out", tmp_path / "out", "--input-range", "0..1") == 0
    assert (read(tmp_path / "out/photo-mask.png")[:, :46] == 255).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.jpg"], ["nowhere.jpg"]),
        (["--background", "gren"], ["'gren'", "green", "#rrggbb", "blur"]),
        (["--background", "1,2,999"], ["1,2,999", "0 to 255"]),
        (["--model", "nowhere.tflite"], ["nowhere.tflite", "--model"]),
    ],
)
def test_errors_are_one_line_and_name_the_remedy(
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main("test", arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in words)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_is_none_or_not_installed(tmp_path, capsys):
    for engine, message in (("nothing", "there is mediapipe for .tflite"), ("mediapipe", "cannot be installed beside")):
        assert main("test", ["--engine", engine, "--out", str(tmp_path / engine)]) == 2
        assert message in capsys.readouterr().err
