import csv
import json

import cv2
import numpy as np
import pytest

from portraitseg.card import UNIT, Card, card_path
from portraitseg.cli import main

SIZE = (16, 16)


@pytest.fixture(scope="module")
def net():
    """Bytes of a .tflite: prob = sigmoid(40 * red - 20), hence red is person."""
    import tensorflow as tf

    class Net(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, *SIZE, 3), tf.float32)])
        def call(self, x):
            return tf.sigmoid(tf.nn.conv2d(x, np.array([40.0, 0, 0], np.float32).reshape(1, 1, 3, 1), 1, "VALID") - 20.0)

    net = Net()
    return tf.lite.TFLiteConverter.from_concrete_functions([net.call.get_concrete_function()], net).convert()


@pytest.fixture
def model(net, tmp_path):
    path = tmp_path / "red.tflite"
    path.write_bytes(net)
    Card(arch="red", wm=1.0, size=SIZE, input=UNIT, output="prob").save(card_path(path))
    return path


@pytest.fixture
def data(tmp_path):
    """Two pictures of the net's size whose upper half is the person: all of it red in `good`, the left half of it in `half`."""
    root = tmp_path / "people"
    mask = np.zeros(SIZE, np.uint8)
    mask[:8] = 255
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for name, width in (("good", 16), ("half", 8)):
        picture = np.zeros((*SIZE, 3), np.uint8)
        picture[:8, :width, 2] = 255  # blue, green, red
        cv2.imwrite(str(root / "images" / f"{name}.png"), picture)
        cv2.imwrite(str(root / "masks" / f"{name}.png"), mask)
    return root


def evaluate(*words):
    return main("eval", [str(word) for word in words])


def test_figures_rows_and_sheet(model, data, tmp_path, capsys):
    assert evaluate(model, "--data", data, "--out", tmp_path / "out", "--worst", 1) == 0
    values = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert values["iou"] == 75.0  # (128 + 64) / 256
    assert values["miou"] == pytest.approx(100 * (192 / 256 + 256 / 320) / 2, abs=0.01)
    assert values["mae"] == pytest.approx((0 + 64 / 256) / 2, abs=1e-4)
    assert values["pictures"] == 2
    assert set(values) >= {"boundary_f", "model", "data", "skipped"}
    with (tmp_path / "out" / "pictures.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert [float(rows[name]["iou"]) for name in ("good", "half")] == [100, 50]
    assert float(rows["good"]["boundary_f"]) == 100
    sheet = cv2.imread(str(tmp_path / "out" / "worst.png"))
    prediction = sheet[: sheet.shape[0] - 20, sheet.shape[1] // 2 : sheet.shape[1] * 3 // 4]  # the third of four panels, without the label
    assert (prediction > 250).all(-1).mean() == pytest.approx(0.25, abs=0.03)  # `half`, the worst
    out = capsys.readouterr().out
    assert "75.00 %" in out
    assert "worst.png" in out


def test_metrics_by_name_and_all(model, data, tmp_path, capsys):
    assert evaluate(model, "--data", data, "--out", tmp_path / "all", "--metrics", "all") == 0
    values = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert values["sad"] == pytest.approx((0 + 64 / 1000) / 2, abs=1e-3)
    assert values["mse"] == pytest.approx(64 / 256 / 2, abs=1e-4)
    assert values["iou"] == 75.0
    out = capsys.readouterr().out
    titles = ("max F-beta", "weighted F", "S-measure", "boundary IoU", "SAD", "MSE", "gradient error", "connectivity error")
    assert all(title in out for title in titles)
    assert evaluate(model, "--data", data, "--out", tmp_path / "two", "--metrics", "weighted_f,iou", "--worst", 0) == 0
    with (tmp_path / "two" / "pictures.csv").open() as file:
        assert next(csv.reader(file)) == ["name", "weighted_f", "iou"]


def test_an_unknown_metric_is_named_with_those_that_there_are(model, data, tmp_path, capsys):
    assert evaluate(model, "--data", data, "--out", tmp_path / "out", "--metrics", "iou,dice") == 2
    error = capsys.readouterr().err
    assert "'dice'" in error
    assert "s_measure" in error
    assert evaluate(model, "--data", data, "--out", tmp_path / "out", "--metrics", "flicker") == 2
    assert "--video" in capsys.readouterr().err


def frames(folder, count=3):
    """Pictures without masks: a red square moves over noise."""
    folder.mkdir()
    for number in range(count):
        picture = np.random.default_rng(0).integers(0, 90, (64, 64, 3)).astype(np.uint8)
        picture[8:40, 8 + 2 * number : 40 + 2 * number, 2] = 255
        cv2.imwrite(str(folder / f"f{number}.png"), picture)
    return folder


def test_frames_with_masks_are_scored_for_steadiness_too(model, data, tmp_path, capsys):
    assert evaluate(model, "--data", data, "--out", tmp_path / "out", "--video") == 0
    values = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert values["dtssd"] == pytest.approx(100 * (64 / 256) ** 0.5, abs=0.05)  # `half` after `good`: 64 pixels of 256 fall from 1 to 0
    assert values["flicker"] > 0
    assert "dtSSD" in capsys.readouterr().out
    assert (tmp_path / "out" / "worst.png").exists()


def test_frames_without_masks_and_a_video_file_are_scored_for_flicker_alone(model, tmp_path, capsys):
    folder = frames(tmp_path / "clip")
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 64))
    for number in range(3):
        writer.write(cv2.imread(str(folder / f"f{number}.png")))
    writer.release()
    for path in (folder, tmp_path / "clip.avi"):
        out = tmp_path / f"out{path.suffix}"
        assert evaluate(model, "--data", path, "--out", out, "--video") == 0
        assert sorted(file.name for file in out.iterdir()) == ["metrics.json", "pictures.csv"]
        values = json.loads((out / "metrics.json").read_text())
        assert values["pictures"] == 3
        assert values["flicker"] > 0
        assert "iou" not in values
        assert "flicker alone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("made", "words", "message"),
    [
        (None, ("--video",), "there is no"),
        ("", ("--video",), "holds no pictures"),
        ("noise.mp4", ("--video",), "no video that OpenCV can read"),
        ("frames", ("--video", "--metrics", "iou"), "needs masks"),
    ],
)
def test_a_video_that_cannot_be_used_is_one_line_and_code_2(model, tmp_path, capsys, made, words, message):
    path = tmp_path / "clip"
    if made == "frames":
        frames(path)
    elif made == "":
        path.mkdir()
    elif made:
        path = tmp_path / made
        path.write_bytes(b"x" * 500)
    assert evaluate(model, "--data", path, "--out", tmp_path / "out", *words) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert message in error[0]
    assert evaluate(model, "--out", tmp_path / "out", "--video") == 2
    assert "--data" in capsys.readouterr().err


def test_without_out_the_results_are_named_after_model_and_data(model, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert evaluate(model, "--data", data, "--worst", 0) == 0
    assert sorted(path.name for path in (tmp_path / "runs/eval/red-people").iterdir()) == ["metrics.json", "pictures.csv"]


def test_an_earlier_result_is_kept_unless_forced(model, data, tmp_path, capsys):
    words = (model, "--data", data, "--out", tmp_path, "--worst", 0)
    (tmp_path / "pictures.csv").write_text("mine")
    assert evaluate(*words) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "pictures.csv").read_text() == "mine"
    assert evaluate(*words, "--force") == 0
    assert (tmp_path / "pictures.csv").read_text().startswith("name,iou")


def test_a_file_of_another_project_needs_its_input_range(model, data, tmp_path, capsys):
    assert evaluate(model, "--data", data, "--out", tmp_path / "a", "--input-range", "0..1") == 2
    assert "red.tflite is fed; leave out --input-range" in capsys.readouterr().err
    card_path(model).unlink()
    assert evaluate(model, "--data", data, "--out", tmp_path / "a") == 2
    assert "--input-range" in capsys.readouterr().err
    assert evaluate(model, "--data", data, "--out", tmp_path / "a", "--input-range", "0..1") == 0
    assert json.loads((tmp_path / "a" / "metrics.json").read_text())["iou"] == 75.0
    assert evaluate(model, "--data", data, "--out", tmp_path / "b", "--input-range", "-1..1", "--output", "prob") == 0
    assert json.loads((tmp_path / "b" / "metrics.json").read_text())["iou"] == 75.0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.tflite", None, "no model file"),
        ("cut.tflite", slice(0, 700), "cannot open"),
        ("noise.tflite", b"\x93" * 900, "TFL3"),
        ("model.bin", b"x", "it must be .tflite"),
        ("empty.h5", b"", "no card"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_line_and_code_2(net, data, tmp_path, capsys, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(net[content] if isinstance(content, slice) else content)
    assert evaluate(path, "--data", data, "--out", tmp_path / "out") == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert path.stem in error[0]
    assert message in error[0]
    assert not (tmp_path / "out").exists()


def test_a_missing_data_folder_is_named(model, tmp_path, capsys):
    assert evaluate(model, "--data", tmp_path / "nowhere", "--out", tmp_path / "out") == 2
    assert str(tmp_path / "nowhere") in capsys.readouterr().err
    assert evaluate(model, "--data", tmp_path / "nowhere", "--out", tmp_path / "out", "--worst", "-1") == 2
    assert "--worst" in capsys.readouterr().err
