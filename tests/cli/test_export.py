"""The export command from checkpoint to file, on a net of four layers and pictures of 48 px."""

import json
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs, checkpoint, tflite_metadata
from portraitseg.archs import ArchSpec
from portraitseg.benchmark import Settings
from portraitseg.card import EMBEDDED, QUANTS, Card, card_path
from portraitseg.cli import main
from portraitseg.export import parity
from portraitseg.export.parity import Tolerance
from portraitseg.runtime import open_artifact

NAME = "tiny-wm100-32"


def _tiny(x: keras.layers.Layer, *, wm: float, classes: int = 1) -> keras.layers.Layer:
    x = layers.BatchNormalization(name="stem_BN")(layers.Conv2D(8, 3, 2, padding="same", name="stem")(x))
    x = layers.Conv2DTranspose(8, 3, 2, padding="same", name="up")(layers.ReLU(name="relu")(x))
    return layers.Conv2D(classes, 1, name="head_conv")(layers.ReLU(name="up_relu")(x))


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ArchSpec(builder=_tiny, size=32, wm=1.0, encoder="none", paper="-")
    monkeypatch.setitem(archs.ARCHS, "tiny", spec)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """24 training and 12 validation pairs: a bright disc on noise, whose mask is the disc."""
    rng = np.random.default_rng(0)
    root = tmp_path / "discs"
    for part, count in {"train": 24, "val": 12}.items():
        for kind in ("images", "masks"):
            (root / part / kind).mkdir(parents=True)
        for number in range(count):
            mask = cv2.circle(np.zeros((48, 48), np.uint8), (int(rng.integers(12, 36)), 24), 14, 255, -1)
            picture = rng.integers(0, 120, (48, 48, 3)) + (mask[..., None] > 0) * 120
            cv2.imwrite(str(root / part / "images" / f"{part}{number:02}.png"), picture.astype(np.uint8))
            cv2.imwrite(str(root / part / "masks" / f"{part}{number:02}.png"), mask)
    return root


@pytest.fixture
def saved(tmp_path: Path, data: Path) -> Path:
    """A checkpoint that finds bright pixels, its weights set by hand, its statistics not the initial ones."""
    card = replace(
        archs.new_card("tiny"), data=("discs",), licence="CC0", metrics={"miou": 91.5},
        training={"data": str(data), "val": None, "seed": 0, "pretrained": "downloads/weights.h5", "lr": 0.002, "licence": "CC0 and/or"},
        made={"commands": ["python train.py --data discs"], "hours": 0.5, "hardware": "a processor"},
    )  # fmt: skip
    model = archs.build(card)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(rng.uniform(0.02, 0.08, weight.shape))
    model.get_layer("stem_BN").set_weights([np.full(8, value) for value in (1.5, 0.4, 0.1, 0.2)])
    kernel, _ = model.get_layer("head_conv").get_weights()
    model.get_layer("head_conv").set_weights([kernel * 40, np.array([-3.0])])
    path = tmp_path / "run" / "best.h5"
    checkpoint.save(model, card, path)
    return path


def _export(saved: Path, *options: object) -> int:
    return main("export", [str(saved), *map(str, options)])


def _files(saved: Path) -> set[str]:
    return {path.name for path in saved.parent.iterdir()}


def test_int8_end_to_end(saved: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, "--pictures", 16) == 0

    assert _files(saved) == {"best.h5", "best.json", f"{NAME}-int8.tflite", f"{NAME}-int8.json"}
    out = capsys.readouterr().out
    for part in (
        "XNNPACK partitions   1",
        "float tensors        0",
        "CONV_2D 3",
        "DEPTH_TO_SPACE 1",  # the transposed convolution
        "raw RGB bytes are the input",
        "parity on 12 held-out pictures",
        "KB",
        "wrote ",
    ):
        assert part in out
    card = Card.load(saved.parent / f"{NAME}-int8.json")
    assert (card.quant, card.io, card.output, card.licence, card.data) == ("int8", "uint8", "prob", "CC0", ("discs",))
    assert card.calibration == {
        "data": "discs", "pictures": 16, "seed": 0,
        "method": "percentile", "equalise": True, "rounding": "gptq", "keep_float": [],
    }  # fmt: skip
    assert card.training == {"data": "discs", "val": None, "seed": 0, "pretrained": "weights.h5", "lr": 0.002, "licence": "CC0 and/or"}
    assert card.made["hours"] == 0.5
    assert [line.split()[:3] for line in card.made["commands"]] == [["python", "train.py", "--data"], ["python", "export.py", saved.name]]
    assert card.metrics["miou"] == 91.5
    assert 0 < card.metrics["parity_mean_abs"] < 0.02
    assert abs(card.metrics["parity_iou_drop"]) <= 1
    assert str(data.parent) not in json.dumps(json.loads((saved.parent / f"{NAME}-int8.json").read_text()))

    picture = cv2.imread(str(data / "val" / "images" / "val03.png"))[..., ::-1]
    content = (saved.parent / f"{NAME}-int8.tflite").read_bytes()
    assert replace(Card.parse(tflite_metadata.read(content, EMBEDDED), "inside"), sha256=card.sha256) == card
    theirs, ours = open_artifact(saved)(picture), open_artifact(saved.parent / f"{NAME}-int8.tflite")(picture)
    assert theirs.std() > 0.2
    assert np.abs(theirs - ours).mean() < 0.02


@pytest.mark.parametrize("quant", ["fp32", "fp16", "dynamic"])
def test_float_precisions(saved: Path, tmp_path: Path, quant: str) -> None:
    out = tmp_path / "new" / "folder"
    assert _export(saved, "--quant", quant, "--out", out, "--held-out", 4) == 0
    assert {path.name for path in out.iterdir()} == {f"{NAME}-{quant}.tflite", f"{NAME}-{quant}.json"}
    card = Card.load(out / f"{NAME}-{quant}.json")
    assert (card.quant, card.io, card.calibration) == (quant, "float32", {})
    assert open_artifact(out / f"{NAME}-{quant}.tflite").card == card


@pytest.mark.parametrize(("io", "stored"), [("int8", "int8"), ("float", "float32")])
def test_other_ends(saved: Path, io: str, stored: str) -> None:
    assert _export(saved, "--io", io, "--held-out", 4) == 0
    assert Card.load(saved.parent / f"{NAME}-int8.json").io == stored


@pytest.mark.parametrize(("target", "op"), [("cpu", "DEPTH_TO_SPACE 1"), ("plain", "TRANSPOSE_CONV 1")])
def test_operations_as_built_on_request(saved: Path, target: str, op: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, "--quant", "int8", "--target", target) == 0
    assert op in capsys.readouterr().out


@pytest.mark.parametrize("quant", ["fp32", "int8"])
def test_for_mediapipe(saved: Path, quant: str) -> None:
    """What MediaPipe makes of it: tests/export/test_mediapipe.py."""
    assert _export(saved, "--quant", quant, "--format", "mediapipe", "--held-out", 4) == 0
    path = saved.parent / f"{NAME}-{quant}-mediapipe.tflite"
    content = path.read_bytes()
    assert tflite_metadata.read(content, "TFLITE_METADATA")[4:8] == b"M001"
    assert Card.parse(tflite_metadata.read(content, EMBEDDED), "inside").quant == quant
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt") == b"person\n"


def test_an_onnx_file_has_its_card_inside_too(saved: Path, data: Path) -> None:
    assert _export(saved, "--format", "onnx", "--held-out", 4) == 0
    path = saved.parent / f"{NAME}-fp32.onnx"
    picture = cv2.imread(str(data / "val" / "images" / "val03.png"))
    beside = open_artifact(path)(picture)
    card = Card.load(card_path(path))
    card_path(path).unlink()
    alone = open_artifact(path)
    assert alone.card == replace(card, sha256="")
    np.testing.assert_array_equal(alone(picture), beside)


def test_what_mediapipe_refuses_is_refused_before_the_work(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, "--io", "int8", "--format", "mediapipe") == 2
    assert "refuses int8 input and output; leave --io out" in capsys.readouterr().err
    model, card = checkpoint.load(saved)
    checkpoint.save(model, replace(card, fit="letterbox"), saved)
    assert _export(saved, "--format", "mediapipe") == 2
    assert "trained with fit letterbox; export a .tflite" in capsys.readouterr().err
    assert _files(saved) == {"best.h5", "best.json"}


def test_other_data_is_named_in_the_card(saved: Path, data: Path) -> None:
    data.rename(data.with_name("moved"))
    assert _export(saved, "--data", data.with_name("moved"), "--val", data.with_name("moved") / "val", "--held-out", 4) == 0
    assert Card.load(saved.parent / f"{NAME}-int8.json").calibration["data"] == "moved"


def test_out_of_tolerance_is_refused_with_the_figures(
    saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = saved.parent / f"{NAME}-fp16.tflite"
    old.write_bytes(b"the last good file")
    monkeypatch.setitem(parity.TOLERANCES, "fp16", Tolerance(mean_abs=1e-9, worst_abs=1e-9, iou_drop=1))

    assert _export(saved, "--quant", "fp16", "--force") == 1

    assert _files(saved) == {"best.h5", "best.json", old.name}
    assert old.read_bytes() == b"the last good file"
    err = capsys.readouterr().err
    assert "refused" in err
    assert "allowed 1e-09" in err
    assert "--allow-drop" in err


def test_allow_drop_accepts_and_is_recorded(saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(parity.TOLERANCES, "fp16", Tolerance(mean_abs=1e-9, worst_abs=1e-9, iou_drop=1))
    assert _export(saved, "--quant", "fp16", "--allow-drop", 2.5) == 0
    assert "accepted by --allow-drop 2.5: mean |delta prob|" in capsys.readouterr().out
    assert Card.load(saved.parent / f"{NAME}-fp16.json").metrics["parity_allowed_drop"] == 2.5


def test_allow_drop_is_a_limit_too(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poor = parity.Parity(pictures=4, mean_abs=0.3, worst_abs=0.4, worst_name="p", iou_reference=90, iou_artifact=80, spread=0.4)
    monkeypatch.setattr(parity, "compare", lambda *_, **__: poor)
    assert _export(saved, "--quant", "fp32", "--allow-drop", 9) == 1
    assert _export(saved, "--quant", "fp32", "--allow-drop", 11) == 0


def test_a_constant_prob_is_refused(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, card = checkpoint.load(saved)
    model.get_layer("head_conv").set_weights([np.zeros((1, 1, 8, 1)), np.zeros(1)])
    checkpoint.save(model, card, saved)

    assert _export(saved, "--quant", "fp32") == 1

    assert _files(saved) == {"best.h5", "best.json"}
    assert "prob is constant over the picture" in capsys.readouterr().err


def test_existing_output_needs_force(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (f"{NAME}-fp32.tflite", f"{NAME}-fp32.json"):
        (saved.parent / name).write_bytes(b"mine")
        assert _export(saved, "--quant", "fp32") == 2
        assert f"{name} exists already; add --force" in capsys.readouterr().err
        assert (saved.parent / name).read_bytes() == b"mine"
        (saved.parent / name).unlink()
    (saved.parent / f"{NAME}-fp32.tflite").write_bytes(b"mine")
    assert _export(saved, "--quant", "fp32", "--held-out", 4, "--force") == 0
    assert open_artifact(saved.parent / f"{NAME}-fp32.tflite").card.quant == "fp32"


def test_the_checkpoints_own_card_is_never_overwritten(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = saved.with_name(f"{NAME}-fp32.h5")
    saved.rename(same)
    card_path(saved).rename(card_path(same))
    before = card_path(same).read_bytes()
    assert _export(same, "--quant", "fp32", "--force") == 2
    assert "is the checkpoint's own card; choose another folder with --out" in capsys.readouterr().err
    assert card_path(same).read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quant", "fp16", "--io", "uint8"], "--io uint8 needs --quant int8"),
        (["--quant", "int8", "--io", "int16"], "int16"),
        (["--quant", "int16x8", "--io", "uint8"], "--io uint8 needs --quant int8; a int16x8 file has float or int16 input and output"),
        (["--quant", "fp32", "--calibration", "mse"], "--calibration needs --quant int8 of a .tflite file, got fp32"),
        (["--quant", "int16x8", "--keep-float", "stem"], "--keep-float needs --quant int8 of a .tflite file, got int16x8"),
        (["--keep-float", "stem"], "a layer that takes the picture itself is to stay float, so bytes cannot go in; leave it out or"),
        (["--keep-float", "stm"], "no layer stm to keep float; those of the deploy graph are"),
        (["--pictures", "0"], "--pictures and --held-out must be at least 1, got 0 and 50"),
        (["--held-out", "-1"], "must be at least 1, got 128 and -1"),
        (["--allow-drop", "-1"], "--allow-drop is in points of IoU, 0 to 100, got -1.0"),
    ],
)
def test_settings_out_of_range(saved: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, *options) == 2
    assert message in capsys.readouterr().err
    assert _files(saved) == {"best.h5", "best.json"}


def test_an_unknown_quant_lists_the_known_ones(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _export(saved, "--quant", "int4")
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert all(quant in captured.out + captured.err for quant in QUANTS)


def test_a_missing_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(tmp_path / "none.h5") == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "none.h5" in err


def test_an_empty_calibration_folder(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert _export(saved, "--data", tmp_path / "empty") == 2
    assert str(tmp_path / "empty") in capsys.readouterr().err
    assert _files(saved) == {"best.h5", "best.json"}


def test_training_data_that_is_not_here(saved: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.rename(data.with_name("elsewhere"))
    assert _export(saved) == 2
    assert f"trained on {data}, which is not here; give pictures with masks: --data DIR" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_to_shows_before_the_work(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, "--out", saved / "below_a_file") == 2
    captured = capsys.readouterr()
    assert "cannot write to" in captured.err
    assert "choose another folder with --out" in captured.err
    assert "pairs" not in captured.out


def test_without_tensorflow_the_pip_line_is_given(saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert _export(saved) == 2
    assert 'pip install -c constraints.txt -e ".[train]"' in capsys.readouterr().err


def test_how_it_was_calibrated_is_recorded(saved: Path) -> None:
    options = ("--calibration", "mse", "--equalise", "off", "--rounding", "nearest", "--pictures", 8, "--seed", 3)
    assert _export(saved, *options, "--held-out", 4) == 0
    assert Card.load(saved.parent / f"{NAME}-int8.json").calibration == {
        "data": "discs", "pictures": 8, "seed": 3, "method": "mse", "equalise": False, "rounding": "nearest", "keep_float": [],
    }  # fmt: skip


def test_int16_activations(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, "--quant", "int16x8", "--held-out", 4) == 0
    assert "no delegate takes int16 activations" in capsys.readouterr().out
    assert Card.load(saved.parent / f"{NAME}-int16x8.json").io == "float32"
    assert _export(saved, "--quant", "int16x8", "--io", "int16", "--held-out", 4, "--force") == 0
    card = Card.load(saved.parent / f"{NAME}-int16x8.json")
    assert (card.io, card.calibration["method"]) == ("int16", "minmax")
    assert 0 < card.metrics["parity_mean_abs"] < 0.01


def test_what_a_float_layer_costs_is_measured(saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("portraitseg.cli.cost.RUNS", Settings(threads=1, warmups=0, runs=1))
    assert _export(saved, "--keep-float", "head_conv_four", "--held-out", 4, "--pictures", 8) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.split()[:2] == ["IoU", "drop"])
    whole, kept = (line.split() for line in lines[start + 1 : start + 3])
    assert whole[:2] == ["all", "int8"]
    assert kept[:4] == ["with", "layers", "in", "float"]
    assert float(kept[-3].replace(",", "")) >= float(whole[-3].replace(",", "")) > 1  # KB
    assert min(float(whole[-2]), float(kept[-2])) > 0  # ms
    assert Card.load(saved.parent / f"{NAME}-int8.json").calibration["keep_float"] == ["head_conv_four"]
    details = open_artifact(saved.parent / f"{NAME}-int8.tflite").engine.interpreter.get_tensor_details()
    assert any(detail["dtype"] == np.float32 and "head_conv_four" in detail["name"] for detail in details)


def test_masks_cannot_calibrate(saved: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("train", "val"):
        (data / part / "images").rename(data / part / "pictures")
        (data / part / "masks").rename(data / part / "images")
        (data / part / "pictures").rename(data / part / "masks")
    assert _export(saved) == 2
    assert "these are masks; give photographs like those that the net was trained on" in capsys.readouterr().err
    assert _files(saved) == {"best.h5", "best.json"}


def test_pictures_unlike_the_training_set_cannot_calibrate(saved: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bright = data.with_name("bright")
    shutil.copytree(data, bright)
    for path in bright.rglob("images/*.png"):
        cv2.imwrite(str(path), 180 + cv2.imread(str(path)) // 4)
    assert _export(saved, "--data", bright) == 2
    err = capsys.readouterr().err
    assert "unlike the training set: red is 2" in err
    assert "or mix some of them in" in err
