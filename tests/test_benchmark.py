"""The benchmark, on a net whose prob is known: the red of each pixel."""

import csv
import dataclasses
import importlib.metadata
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnx
import openvino
import pytest

from portraitseg import benchmark
from portraitseg import image as pictures
from portraitseg.benchmark import Row, Settings
from portraitseg.card import UNIT, Card, card_path
from portraitseg.cli import benchmark as command
from portraitseg.cli import main
from portraitseg.cli.defaults import MODEL
from portraitseg.errors import InputError
from portraitseg.publish.labels import label


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two artifacts for 32x32 px: prob = red / 255, and prob = blue / 255."""
    folder = tmp_path_factory.mktemp("models")
    return [convert(folder / "red.tflite", [1.0, 0.0, 0.0]), convert(folder / "blue.tflite", [0.0, 0.0, 1.0])]


def convert(path: Path, weights: list[float]) -> Path:
    """Write an artifact and its card: prob = weighted sum of red, green and blue, each in [0,1]."""
    import tensorflow as tf

    kernel = tf.constant(weights, shape=(1, 1, 3, 1))
    net = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), input_signature=[tf.TensorSpec((1, 32, 32, 3))])
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()]).convert())
    Card(arch=path.stem, wm=1.0, size=(32, 32), input=UNIT, output="prob").save(card_path(path))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures whose left half is red, with masks of the left quarter."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32, 0] = 255
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :16] = 255
    for name in ("a.png", "b.png"):
        pictures.write(tmp_path / "data/images" / name, image)
        pictures.write(tmp_path / "data/masks" / name, mask)
    return tmp_path / "data"


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "benchmark.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows(models: list[Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = [*map(str, models), "--data", str(data), "--runs", "3", "--warmups", "1", "--threads", "1", "--out", str(out)]
    assert main("benchmark", arguments) == 0
    rows = read_rows(out)
    assert [row["model"] for row in rows] == ["red.tflite", "blue.tflite"]
    for path, row in zip(models, rows, strict=True):
        assert (row["threads"], row["warmups"], row["runs"], row["partitions"]) == ("1", "1", "3", "1")
        assert row["runtime"] == f"LiteRT {importlib.metadata.version('ai-edge-litert')}"
        assert row["device"]
        assert float(row["load_ms"]) > 0
        assert 0 < float(row["p50_ms"]) <= float(row["p90_ms"])
        assert float(row["file_mb"]) == pytest.approx(path.stat().st_size / 2**20)
        assert 20 < float(row["peak_mb"]) < 200  # its own: this process, with TensorFlow in it, has far more
    # red finds half of the picture where a quarter is true: person 1/4 of 1/2, background 1/2 of 3/4
    assert float(rows[0]["iou"]) == pytest.approx(50)
    assert float(rows[0]["miou"]) == pytest.approx(100 * (1 / 2 + 2 / 3) / 2)
    # blue finds nothing: person 0, background 3/4 of the whole
    assert float(rows[1]["iou"]) == 0
    assert [float(row["delta_iou"]) for row in rows] == [0, pytest.approx(-50)]
    assert float(rows[1]["miou"]) == pytest.approx(100 * (0 + 3 / 4) / 2)
    table = capsys.readouterr().out
    assert all(word in table for word in ("p50 ms", "peak MB", "partitions", "mIoU", "red.tflite", "58.33"))
    assert cv2.imread(str(out / "benchmark.png")).std() > 0


def test_the_same_net_in_other_libraries(models: list[Path], data: Path, tmp_path: Path) -> None:
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 32, 32, sides)) for name, sides in (("x", 3), ("y", 1))]
    kernel = onnx.numpy_helper.from_array(np.float32([[1], [0], [0]]), "kernel")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "kernel"], ["y"])], "red", ends[:1], ends[1:], [kernel])
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 18)]), tmp_path / "red.onnx")
    openvino.save_model(openvino.Core().read_model(tmp_path / "red.onnx"), tmp_path / "red.xml")
    for name in ("red.onnx", "red.xml"):
        shutil.copy(card_path(models[0]), card_path(tmp_path / name))
    others, cache = [str(tmp_path / name) for name in ("red.xml", "red.onnx")], str(tmp_path / "cache")
    options = ["--data", str(data), "--runs", "1", "--warmups", "0", "--weight-cache", cache, "--out", str(tmp_path / "out")]
    assert main("benchmark", [str(models[0]), *others, *options]) == 0
    rows = read_rows(tmp_path / "out")
    assert [row["runtime"].split()[0] for row in rows] == ["LiteRT", "OpenVINO", "onnxruntime"]
    assert [float(row["iou"]) for row in rows] == [pytest.approx(50)] * 3
    assert [row["partitions"] for row in rows] == ["1", "", ""]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".xnnpack"]
    assert float(rows[1]["file_mb"]) == pytest.approx(sum((tmp_path / name).stat().st_size for name in ("red.xml", "red.bin")) / 2**20)


def test_without_data_and_without_matplotlib(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(module: str, *, extra: str) -> Any:
        raise ImportError(f"pip install {module} of {extra}")

    monkeypatch.setattr(command, "require", missing)
    assert main("benchmark", [str(models[0]), "--runs", "1", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "IoU" not in shown.out
    assert "pip install matplotlib.figure of plot" in shown.err
    assert [row["iou"] for row in read_rows(tmp_path)] == [""]
    assert not (tmp_path / "benchmark.png").exists()


@pytest.mark.parametrize(("quant", "dot_products", "said"), [("int8", False, True), ("int8", True, False), ("fp32", False, False)])
def test_int8_without_instructions_for_it(
    quant: str, dot_products: bool, said: bool, models: list[Path], tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setattr(command, "has_dot_products", lambda: dot_products)
    path = Path(shutil.copy(models[0], tmp_path))
    dataclasses.replace(Card.load(card_path(models[0])), quant=quant).save(card_path(path))
    assert main("benchmark", [str(path), "--runs", "1", "--warmups", "0", "--out", str(tmp_path)]) == 0
    assert ("no integer dot products" in capsys.readouterr().out) is said


def test_plot_without_accuracy(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "device": "a machine",
        "runtime": "a library 1.0",
        "threads": 1,
        "warmups": 1,
        "runs": 9,
        "load_ms": 1.0,
        "peak_mb": 80.0,
        "partitions": 1,
    }
    rows = [Row(model=f"net-{i}.tflite", p50_ms=1 + i / 100, p90_ms=2.0, file_mb=1.0, **fields) for i in range(6)]
    command.draw(rows, tmp_path / "plot.png")
    assert cv2.imread(str(tmp_path / "plot.png")).std() > 0


def test_names_in_the_plot_do_not_overlap(tmp_path: Path) -> None:
    figure_module = pytest.importorskip("matplotlib.figure")
    figure = figure_module.Figure(figsize=(9, 6))
    axes = figure.add_subplot()
    points = [(1.0 + 0.001 * i, 1.0) for i in range(8)] + [(2.0, 2.0)]
    axes.scatter(*zip(*points, strict=True))
    label(figure, axes, points, [f"a-rather-long-name-{i}" for i in range(9)])
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]  # the lines are texts too
    assert len(boxes) == 9
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_all_artifacts_take_their_turn_in_each_round() -> None:
    a, b = Path("a"), Path("b")
    assert list(benchmark._plan([a, b], 3)) == [(a, 1), (b, 1), (b, 1), (a, 1), (a, 1), (b, 1)]
    shares = [runs for path, runs in benchmark._plan([a, b], 103) if path == b]
    assert sum(shares) == 103
    assert len(shares) == benchmark.ROUNDS


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"TFL3" * 50, ["bad.tflite"]), (None, ["bad.tflite", "no model file"])],
)
def test_a_broken_artifact_stops_it_before_anything_is_measured(
    content: bytes | None, words: list[str], models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(benchmark, "_measure_apart", lambda *_: pytest.fail("measured"))
    if content:
        (tmp_path / "bad.tflite").write_bytes(content)
    assert main("benchmark", [str(models[0]), str(tmp_path / "bad.tflite"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["no model", "models/*.tflite"]),
        (["x.h5"], ["x.h5", "export"]),
        (["MODEL", "--runs", "0"], ["runs 0", "at least 1"]),
        (["MODEL", "--threads", "0"], ["threads 0", "at least 1"]),
        (["MODEL", "--data", "nowhere"], ["nowhere"]),
    ],
)
def test_errors(arguments: list[str], words: list[str], models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(models[0]) if word == "MODEL" else word for word in arguments]
    assert main("benchmark", [*given, "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words)


def test_results_are_not_overwritten(models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "benchmark.csv").write_text("precious")
    assert main("benchmark", [str(models[0]), "--out", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "benchmark.csv").read_text() == "precious"


def test_a_foreign_artifact_needs_its_input_range(models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(models[0].read_bytes())
    assert main("benchmark", [str(foreign), "--runs", "1", "--out", str(tmp_path)]) == 2
    assert "--input-range" in capsys.readouterr().err
    assert main("benchmark", [str(foreign), "--runs", "1", "--input-range", "0..1", "--out", str(tmp_path)]) == 0
    assert len(read_rows(tmp_path)) == 1


def test_a_failing_process_is_reported(models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(benchmark, "check", lambda *_: None)
    (tmp_path / "gone.tflite").write_bytes(b"")
    assert main("benchmark", [str(tmp_path / "gone.tflite"), "--runs", "1", "--out", str(tmp_path)]) == 2
    assert "gone.tflite" in capsys.readouterr().err


def test_rate_of_the_pipeline_leaves_out_the_warm_up_and_stops_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from portraitseg.cli import benchmark_pipeline as pipeline

    clock, closed = [0.0], []
    monkeypatch.setattr(pipeline, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def batches() -> Iterator[tuple[float, None]]:
        """The first ones come slowly, the later ones four a second."""
        try:
            for number in itertools.count():
                clock[0] += 7.0 if number < pipeline.WARMUP_BATCHES else 0.25
                yield clock[0], None
        finally:
            closed.append(True)

    assert pipeline._rate(batches(), lambda _: None, 2.0) == 4.0
    assert closed == [True]


def test_summary_of_the_pipeline_takes_ratios_within_a_round() -> None:
    from portraitseg.cli.benchmark_pipeline import Round, summary

    # The machine halves its speed after the first round: 48 / 50, the ratio of the medians, would compare different rounds.
    rounds = [Round(pipeline=900, step=100, both=90), Round(pipeline=450, step=50, both=40), Round(pipeline=400, step=50, both=48)]
    lines = [line.split() for line in summary(rounds)]
    assert [line[-2] for line in lines[:3]] == ["450.0", "50.0", "48.0"]
    assert [line[-1] for line in lines[3:]] == ["9.00", "0.90"]


def test_the_pipeline_is_also_measured_from_shards_of_the_same_pictures(tmp_path: Path) -> None:
    from portraitseg.cli import benchmark_pipeline as pipeline
    from portraitseg.data.sources import find_source, open_data

    for index in range(4):
        pictures.write(tmp_path / "set" / f"{index}.png", np.full((40, 40, 3), 50 * index, np.uint8))
        pictures.write(tmp_path / "set" / f"{index}_mask.png", np.eye(40, dtype=np.uint8) * 255)
    source, shards = pipeline._in_shards(find_source(tmp_path / "set")[0], tmp_path / "shards")
    assert [shards.name(index) for index in range(4)] == [source.name(index) for index in range(4)] == ["0", "1", "2", "3"]
    assert all(np.array_equal(shards.load(index)[0], source.load(index)[0]) for index in range(4))
    assert pipeline._in_shards(open_data(None, size=64).train, tmp_path / "none")[1] is None
    rounds = [pipeline.Round(pipeline=100, step=10, both=9, shards=120), pipeline.Round(pipeline=40, step=5, both=4, shards=52)]
    lines = [line.split() for line in pipeline.summary(rounds)[-2:]]
    assert (lines[0][-2], lines[1][-1]) == ("86.0", "1.25")


def test_another_engine_has_its_own_library_and_must_be_one_that_there_is():
    path = Path("net.tflite")
    assert Settings(engine="mediapipe").library(path)[0] == "MediaPipe"
    assert Settings().library(path)[0] == "LiteRT"
    with pytest.raises(InputError, match="engine 'nope' does not open"):
        Settings(engine="nope").open(MODEL, None)
