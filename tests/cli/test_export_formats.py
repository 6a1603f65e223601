"""The export command in the formats beside .tflite, from checkpoint to file, on a net of four layers and drawn portraits."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs, checkpoint, image
from portraitseg.archs import ArchSpec
from portraitseg.card import UNIT, Card, card_path
from portraitseg.cli import main
from portraitseg.cli.test import SAMPLE
from portraitseg.compose.blend import soft_alpha
from portraitseg.errors import InputError
from portraitseg.export import formats, parity
from portraitseg.export.parity import Tolerance
from portraitseg.parts import parts, sha256
from portraitseg.runtime import open_artifact, predict

NAME = "tiny-wm100-32"


def _tiny(x: keras.layers.Layer, *, wm: float, classes: int = 1) -> keras.layers.Layer:
    x = layers.BatchNormalization(name="stem_BN")(layers.Conv2D(8, 3, 2, padding="same", name="stem")(x))
    x = layers.Conv2DTranspose(8, 3, 2, padding="same", name="up")(layers.ReLU(6.0, name="relu")(x))
    return layers.Conv2D(classes, 1, name="head_conv")(layers.ReLU(name="up_relu")(x))


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint whose prob follows the brightness, its statistics not the initial ones."""
    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=_tiny, size=32, wm=1.0, encoder="none", paper="-"))
    model, rng = archs.build(card := archs.new_card("tiny")), np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.uniform(0.02, 0.08, weight.shape))
    model.get_layer("stem_BN").set_weights([np.full(8, value) for value in (1.5, 0.4, 0.1, 0.2)])
    kernel, _ = model.get_layer("head_conv").get_weights()
    model.get_layer("head_conv").set_weights([kernel * 40, np.array([-3.0])])
    checkpoint.save(model, replace(card, data=("synthetic",), licence="CC0"), tmp_path / "best.h5")
    return tmp_path / "best.h5"


def _export(saved: Path, *options: object) -> int:
    return main("export", [str(saved), "--held-out", "3", "--pictures", "8", *map(str, options)])


CASES = {
    "onnx": ("onnx", "fp32", "nhwc", f"{NAME}-fp32.onnx", 1e-4),
    "onnx-nchw": ("onnx", "fp32", "nchw", f"{NAME}-fp32-nchw.onnx", 1e-4),
    "onnx-int8": ("onnx", "int8", "nhwc", f"{NAME}-int8.onnx", 0.1),
    "onnx-int8-nchw": ("onnx", "int8", "nchw", f"{NAME}-int8-nchw.onnx", 0.1),
    "openvino": ("openvino", "fp32", "nhwc", f"{NAME}-fp32.xml", 1e-4),
    "openvino-fp16": ("openvino", "fp16", "nhwc", f"{NAME}-fp16.xml", 5e-3),
    "saved_model": ("saved_model", "fp32", "nhwc", f"{NAME}-fp32-saved_model", 1e-5),
    "frozen": ("frozen", "fp32", "nhwc", f"{NAME}-fp32.pb", 1e-5),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_and_its_card_that_say_what_the_checkpoint_says(saved: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    form, quant, layout, name, tolerance = CASES[case]
    assert _export(saved, "--format", form, "--quant", quant, "--layout", layout) == 0
    out = capsys.readouterr().out
    assert "parity on 3 held-out pictures" in out
    path = saved.parent / name
    assert f"wrote {path} and {name}.json" in out
    beside = {name, f"{name}.json"} | ({path.with_suffix(".bin").name} if form == "openvino" else set())
    assert {entry.name for entry in saved.parent.iterdir()} == {"best.h5", "best.json"} | beside
    card = Card.load(card_path(path))
    assert (card.quant, card.layout, card.io, card.output, card.licence) == (quant, layout, "float32", "prob", "CC0")
    assert card.sha256 == sha256(path)
    assert card.calibration == ({"data": "synthetic", "pictures": 8, "seed": 0, "method": "minmax"} if quant == "int8" else {})
    picture = image.read(SAMPLE)
    theirs, ours = open_artifact(saved)(picture), open_artifact(path)(picture)
    assert theirs.std() > 0.2
    assert np.abs(theirs - ours).max() <= tolerance


@pytest.mark.parametrize("quant", ["fp32", "int8"])
def test_onnx_is_checked_and_int8_has_8_bit_weights(saved: Path, quant: str) -> None:
    assert _export(saved, "--format", "onnx", "--quant", quant) == 0
    net = onnx.load(saved.parent / f"{NAME}-{quant}.onnx")
    onnx.checker.check_model(net, full_check=True)
    assert {entry.domain: entry.version for entry in net.opset_import}[""] == 18
    kernels = {tensor.data_type for tensor in net.graph.initializer if len(tensor.dims) == 4}
    assert kernels == {onnx.TensorProto.UINT8 if quant == "int8" else onnx.TensorProto.FLOAT}


def test_the_default_precision_is_the_formats(saved: Path) -> None:
    assert _export(saved, "--format", "frozen") == 0
    assert (saved.parent / f"{NAME}-fp32.pb").is_file()


def test_out_of_tolerance_leaves_nothing_and_an_earlier_one_stays(saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    assert _export(saved, "--format", "saved_model") == 0
    folder = saved.parent / f"{NAME}-fp32-saved_model"
    before = sha256(folder)
    monkeypatch.setitem(parity.TOLERANCES, "fp32", Tolerance(mean_abs=-1, worst_abs=1, iou_drop=1))
    assert _export(saved, "--format", "saved_model", "--force") == 1
    assert _export(saved, "--format", "openvino") == 1
    assert sha256(folder) == before
    assert {entry.name for entry in saved.parent.iterdir()} == {"best.h5", "best.json", folder.name, f"{folder.name}.json"}


def test_an_earlier_one_is_replaced_on_request_alone(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved.parent / f"{NAME}-fp32-saved_model"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    assert _export(saved, "--format", "saved_model") == 2
    assert "--force" in capsys.readouterr().err
    assert _export(saved, "--format", "saved_model", "--force") == 0
    assert "mine" not in {part.name for part in parts(folder)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "openvino", "--quant", "int8"), "--format openvino has --quant fp32 or fp16, got int8"),
        (("--format", "frozen", "--layout", "nchw"), "--format frozen has --layout nhwc, got nchw"),
        (("--format", "onnx", "--quant", "int8", "--io", "uint8"), "--format onnx has --io float, got uint8"),
    ],
)
def test_what_a_format_does_not_have_is_refused(saved: Path, options: tuple[str, ...], message: str, capsys: object) -> None:
    assert _export(saved, *options) == 2
    assert message in capsys.readouterr().err


class Odd(layers.Layer):
    """An operation that neither ONNX nor OpenVINO has."""

    def call(self, x: object) -> object:
        import tensorflow as tf

        return tf.math.lgamma(x)


@pytest.mark.parametrize(("form", "words"), [("onnx", ["Lgamma", "/odd"]), ("openvino", ["Lgamma"])])
def test_an_operation_that_a_format_has_not_is_named(form: str, words: list[str], tmp_path: Path) -> None:
    taken = keras.Input((32, 32, 3), 1)
    model = keras.Model(taken, layers.Conv2D(1, 1, activation="sigmoid")(Odd(name="odd")(taken)))
    with pytest.raises(InputError, match=f"--format {form} cannot hold this net") as found:
        formats.write(form, model, Card(arch="odd", wm=1.0, size=(32, 32), input=UNIT), tmp_path / "net.xml", None)
    assert all(word in str(found.value) for word in words)


def test_the_commands_take_other_formats(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, "--format", "onnx", "--out", tmp_path / "out") == 0
    path = tmp_path / "out" / f"{NAME}-fp32.onnx"
    picture = image.resize(image.read(SAMPLE), (64, 64))
    image.write(tmp_path / "set" / "a.png", picture)
    image.write(tmp_path / "set" / "a_mask.png", np.where(picture.max(-1) > 120, 255, 0).astype(np.uint8))
    assert main("test", [str(tmp_path / "set" / "a.png"), "--model", str(path), "--out", str(tmp_path / "test")]) == 0
    mask = cv2.imread(str(tmp_path / "test" / "a-mask.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, soft_alpha(predict(open_artifact(saved), picture)))
    scores = []
    for model in (saved, path):
        words = [str(model), "--data", str(tmp_path / "set"), "--out", str(tmp_path / model.suffix[1:])]
        assert main("eval", words) == 0
        scores.append(json.loads((tmp_path / model.suffix[1:] / "metrics.json").read_text())["iou"])
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert 1 < scores[0] < 99


def test_without_its_library_the_error_says_what_to_install(saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    assert _export(saved, "--format", "openvino") == 2
    assert '".[openvino]"' in capsys.readouterr().err
