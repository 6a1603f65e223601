"""A folder of nets whose prob is the red of each pixel, published: figures are worked by hand, the README says what the cards say."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from portraitseg import image
from portraitseg.card import UNIT, Card, card_path
from portraitseg.cli import main
from portraitseg.errors import InputError
from portraitseg.publish import folder, readme
from portraitseg.publish.measured import Measured

PICTURES = {"a": (32, 16), "b": (16, 16), "c": (32, 32), "d": (48, 32)}
"""Of 64 columns so many are red, and so many are person."""


def tflite(weights: list[float]) -> bytes:
    """prob = weighted sum of red, green and blue, each in [0,1], of 32x32 pixels."""
    import tensorflow as tf

    kernel = tf.constant(weights, shape=(1, 1, 3, 1))
    net = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), input_signature=[tf.TensorSpec((1, 32, 32, 3))])
    content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()]).convert()
    return content


def red_onnx(path: Path) -> None:
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 32, 32, sides)) for name, sides in (("x", 3), ("y", 1))]
    kernel = onnx.numpy_helper.from_array(np.float32([[1], [0], [0]]), "kernel")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "kernel"], ["y"])], "red", ends[:1], ends[1:], [kernel])
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/ with red.tflite, red.onnx and (a card that tells more) half.tflite, measured beside other.tflite, which has no card."""
    root = tmp_path_factory.mktemp("published")
    for name, (red, person) in PICTURES.items():
        picture, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
        picture[:, :red, 0], mask[:, :person] = 255, 255
        image.write(root / "faces/val/images" / f"{name}.png", picture)
        image.write(root / "faces/val/masks" / f"{name}.png", mask)
    (root / "subsets.csv").write_text("picture,subset\na,small\nb,small\nc,big\nd,big\nelsewhere,big\n")
    models = root / "models"
    models.mkdir()
    (root / "other.tflite").write_bytes(tflite([0.0, 0.0, 1.0]))
    (models / "red.tflite").write_bytes(tflite([1.0, 0.0, 0.0]))
    (models / "half.tflite").write_bytes(tflite([0.4, 0.0, 0.0]))  # never above 0.5: it finds nobody
    red_onnx(models / "red.onnx")
    for path in sorted(models.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        Card(arch=path.stem, wm=1.0, size=(32, 32), input=UNIT, output="prob", sha256=digest).save(card_path(path))
    told = replace(Card.load(card_path(models / "half.tflite")), use="Nothing.", made={"hours": 1.26}, quant="int8")
    told.save(card_path(models / "half.tflite"))
    (models / "README.md").write_text(f"# Ours\n\nBy hand.\n\n{readme.BEGIN}\nold\n{readme.END}\n\nBy hand too.\n")
    words = ["--data", str(root / "faces"), "--subsets", str(root / "subsets.csv"), "--beside", f"{root / 'other.tflite'}=0..1"]
    assert main("benchmark", ["--publish", str(models), *words, "--runs", "2", "--warmups", "0"]) == 0
    return models


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """To change."""
    return Path(shutil.copytree(published, tmp_path / "models"))


def measured(path: Path) -> Measured:
    return Measured.parse(Card.load(card_path(path)).measured, path.name)


def test_accuracy_is_that_worked_by_hand(published: Path) -> None:
    """All: of 256 columns 96 are rightly red, 32 wrongly, 128 rightly not; small: 32, 16, 80; big: 64, 16, 48."""
    for name in ("red.tflite", "red.onnx"):
        found = measured(published / name)
        assert (found.data, found.pictures) == ("faces", 4)
        assert (found.miou.value, found.iou.value) == (77.5, 75.0)
        assert found.mae.value == pytest.approx(32 / 256, abs=0.005)  # the edge of red is blurred when it is resized
        assert {key: (kind.pictures, kind.miou.value) for key, kind in found.subsets.items()} == {"small": (2, 75.0), "big": (2, 77.5)}
        assert list(found.worst) == ["a", "d", "b", "c"]
        assert list(found.worst.values()) == [50.0, 66.67, 100.0, 100.0]
        assert 25 * (1 + 2) / 2 < found.miou.low < 77.5 < found.miou.high <= 100  # the worst set is "a" four times over: 58.3
        assert found.subsets["small"].miou.low == 58.33
        assert found.subsets["small"].miou.high == 100.0
    nobody = measured(published / "half.tflite")
    assert (nobody.iou.value, nobody.miou.value) == (0.0, round(100 * 160 / 256 / 2, 2))


def test_what_is_in_the_files(published: Path) -> None:
    plain, other = measured(published / "red.tflite"), measured(published / "red.onnx")
    assert (plain.ops, other.ops) == ({"CONV_2D": 1}, {"MatMul": 1})
    assert plain.bytes == (published / "red.tflite").stat().st_size
    assert (plain.delegates["xnnpack"].taken, plain.delegates["xnnpack"].ops, plain.delegates["xnnpack"].parts) == (1, 1, 1)
    assert {"gpu", "nnapi", "edgetpu"} <= set(plain.delegates)
    assert other.delegates == {}


def test_latency_by_runtime_and_threads_and_beside_others(published: Path) -> None:
    for name, library in (("red.tflite", "LiteRT"), ("red.onnx", "onnxruntime")):
        found = measured(published / name)
        assert [(row.threads, row.runs, row.runtime.split()[0]) for row in found.latency] == [(1, 2, library), (2, 2, library)]
        assert all(0 < row.p50_ms <= row.p90_ms for row in found.latency)
        assert found.ms(2) == found.latency[1].p50_ms
    peer = folder.load(published).peers["other.tflite"]
    for model in folder.load(published).models:
        assert model.measured.beside == {"other.tflite": pytest.approx(model.measured.ms(2) / peer.ms(2), abs=1e-3)}


def test_no_artifact_changes_and_no_word_of_hand_is_lost(published: Path) -> None:
    for path in folder.artifacts(published):
        card = Card.load(card_path(path))
        assert card.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert "32x32" in card.limits
    assert Card.load(card_path(published / "half.tflite")).use == "Nothing."
    assert "32x32" in Card.load(card_path(published / "red.tflite")).use
    text = (published / "README.md").read_text()
    assert text.startswith("# Ours\n\nBy hand.\n\n<!--")
    assert text.endswith("-->\n\nBy hand too.\n")
    assert "\nold\n" not in text


def test_the_table_says_what_the_cards_say(published: Path) -> None:
    lines = (published / "README.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith("| `half.tflite`")).strip("| ").split(" | ")
    found = measured(published / "half.tflite")
    interval = f"31.25 [{found.miou.low:.2f}, {found.miou.high:.2f}]"
    assert row[1:5] == ["int8", f"{found.bytes / 1000:.0f}", interval, "0.00"]
    assert row[-3:] == [f"{found.ms(1):.1f}", f"{found.ms(2):.1f}", "1.3"]
    assert any(line.startswith("| other.tflite, of others |") for line in lines)
    assert "| file | small (2) | big (2) |" in lines
    assert "4 pictures of faces" in " ".join(lines)


def test_pictures_are_drawn(published: Path) -> None:
    for name in ("accuracy.png", "subsets.png"):
        assert cv2.imread(str(published / name)).std() > 10


def test_without_data_all_is_made_again_from_the_cards(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    (copy / "accuracy.png").unlink()
    assert main("benchmark", ["--publish", str(copy)]) == 0
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
    card = Card.load(card_path(copy / "red.tflite"))
    replace(card, measured={**card.measured, "miou": {"value": 12.34, "low": 11.0, "high": 13.0}}).save(card_path(copy / "red.tflite"))
    assert main("benchmark", ["--publish", str(copy)]) == 0
    assert "12.34 [11.00, 13.00]" in (copy / "README.md").read_text()


def test_a_readme_is_made_where_there_is_none_and_never_spoilt(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "README.md").unlink()
    assert main("benchmark", ["--publish", str(copy)]) == 0
    assert (copy / "README.md").read_text().startswith("# Models\n")
    (copy / "README.md").write_text("no markers\n")
    assert main("benchmark", ["--publish", str(copy), "--data", "nowhere"]) == 2  # before anything is measured
    assert readme.BEGIN in capsys.readouterr().err
    assert (copy / "README.md").read_text() == "no markers\n"
    with pytest.raises(InputError, match="once each"):
        readme.insert(f"{readme.BEGIN}\n{readme.END}\n{readme.BEGIN}\n", "x", "README.md")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "does not tell what was measured"),
        ({"data": "others"}, "not all was measured on the same pictures"),
        ({"subsets": {}}, "not all was measured on the same pictures"),
        ({"miou": {"value": 1}}, "does not tell what was measured"),
        ({"latency": 3}, "does not tell what was measured"),
    ],
)
def test_cards_that_tell_nothing_or_something_else(copy: Path, changes: dict[str, object], message: str) -> None:
    card = Card.load(card_path(copy / "red.tflite"))
    replace(card, measured={**card.measured, **changes} if changes else {}).save(card_path(copy / "red.tflite"))
    with pytest.raises(InputError, match=message):
        folder.load(copy)


def test_peers_that_are_broken_or_gone(copy: Path) -> None:
    (copy / folder.PEERS).write_text("[1]")
    with pytest.raises(InputError, match=r"peers\.json"):
        folder.load(copy)
    (copy / folder.PEERS).unlink()
    assert folder.load(copy).peers == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("x.tflite --publish {0}", "--beside FILE=RANGE"),
        ("--publish {0} --threads 4", "leave out --threads"),
        ("--publish {0} --input-range 0..1", "--beside FILE=RANGE"),
        ("--publish {0} --out x", "leave out --out"),
        ("--publish {0} --engine mediapipe", "leave out --engine"),
        ("--publish {0} --force", "leave out --force"),
        ("--publish {0} --beside x=0..1", "give --data"),
        ("--publish {0} --data {0}/../faces --beside {0}/red.tflite", "takes FILE=RANGE"),
        ("--publish {0} --data {0}/../faces --subsets {0}/red.json", "columns picture and subset"),
        ("--publish {0}/nowhere", "no .tflite or .onnx file"),
        ("x.tflite --subsets x.csv", "--publish FOLDER"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_line(published: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("benchmark", words.format(published).split()) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_subset_of_other_pictures_is_refused(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "subsets.csv").write_text("picture,subset\na,small\nz,far\n")
    words = ["--data", str(published.parent / "faces"), "--subsets", str(tmp_path / "subsets.csv")]
    assert main("benchmark", ["--publish", str(published), *words]) == 2
    assert "no picture of --data for far" in capsys.readouterr().err


def test_without_others_and_subsets(copy: Path, published: Path) -> None:
    for name in ("red.onnx", "red.onnx.json", "half.tflite", "half.json"):
        (copy / name).unlink()
    words = ["--data", str(published.parent / "faces"), "--runs", "1", "--warmups", "0"]
    assert main("benchmark", ["--publish", str(copy), *words]) == 0
    assert not (copy / folder.PEERS).exists()  # its times were of another run
    assert json.loads((copy / "red.json").read_text())["measured"]["subsets"] == {}
    assert "subset" not in (copy / "README.md").read_text()
