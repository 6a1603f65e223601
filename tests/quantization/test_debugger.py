"""The layer that int8 spoils is found: spoiled on purpose, in a file that is right otherwise."""

import csv
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg.card import UNIT, Card, card_path
from portraitseg.cli import main
from portraitseg.errors import InputError
from portraitseg.export import tflite
from portraitseg.quantization import debugger
from portraitseg.quantization.post_training import equalise
from portraitseg.quantization.post_training.quantize import Recipe, to_int8
from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph

SIZE = 32
ROOT = Path(__file__).parents[2]


def _pictures() -> list[np.ndarray]:
    return [np.random.default_rng(seed).random((1, SIZE, SIZE, 3)).astype(np.float32) for seed in range(3)]


@pytest.fixture(scope="module")
def floating() -> bytes:
    """Five convolutions with ReLUs, a shortcut and a sigmoid."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = first = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(image)
    for name in ("second", "third", "fourth"):
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name=name)(x)
    x = layers.Conv2D(1, 1, name="head")(layers.Add(name="sum")([x, first]))
    return tflite.convert(keras.Model(image, layers.Activation("sigmoid", name="prob")(x)), "fp32")


@pytest.fixture(scope="module")
def quantized(floating: bytes) -> bytes:
    return to_int8(floating, _pictures(), Recipe(method="minmax", equalise=False), io="uint8")


def _spoil(quantized: bytes, layer: str) -> bytes:
    """Halve the scales of a layer's weights: what it gives is half of what it should be, which no other layer knows."""
    flat = TFLiteGraph(quantized)
    operator = next(op for op in flat.graph.operators if f"/{layer}/" in flat.name(int(op.outputs[0])))
    scales = flat.graph.tensors[operator.inputs[1]].quantization
    scales.scale = np.asarray(scales.scale) / 2
    return flat.content()


def _both(pictures: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x, x) for x in pictures]


@pytest.mark.parametrize("layer", ["first", "third"])
def test_a_layer_spoiled_on_purpose_is_the_worst(floating: bytes, quantized: bytes, layer: str) -> None:
    right = {error.layer: error for error in debugger.compare(floating, quantized, _both(_pictures()))}
    wrong = debugger.compare(floating, _spoil(quantized, layer), _both(_pictures()))
    assert [error.layer for error in wrong] == ["first", "second", "third", "fourth", "sum", "head", "output"]
    assert debugger.worst(wrong)[0].layer == layer
    assert right[layer].own > 25
    assert debugger.worst(wrong)[0].own == pytest.approx(20 * np.log10(2), abs=0.2)  # what is missing is a half
    others = [error for error in wrong if error.layer != layer]
    assert min(error.own for error in others) > 20  # the layers behind get less, but do right by it
    for error in wrong[: [error.layer for error in wrong].index(layer)]:
        assert error == right[error.layer]  # what lies before it is as it was


def test_an_equalised_file_is_compared_at_its_own_scales(floating: bytes, quantized: bytes) -> None:
    evened = to_int8(floating, _pictures(), Recipe(method="minmax"), io="uint8")
    errors = debugger.compare(equalise.like(floating, evened), evened, _both(_pictures()))
    assert min(error.own for error in errors) > 25
    assert min(error.sqnr for error in errors) > 20
    assert min(error.own for error in debugger.compare(floating, evened, _both(_pictures()))) < 20  # without them
    np.testing.assert_allclose(*(_weights(file) for file in (equalise.like(floating, quantized), floating)), rtol=0.02)  # nothing to do


def test_channels_without_weights_are_found_again() -> None:
    """One that is 0, and one that holds its bias."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = image
    for name in ("first", "second", "third"):
        x = layers.Conv2D(4, 3, padding="same", activation="relu", bias_initializer="ones", name=name)(x)
    model = keras.Model(image, x)
    kernel, offset = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel * [1, 0, 0, 1], offset * [1, 0, 3, 1]])
    content = tflite.convert(model, "fp32")
    evened = to_int8(content, _pictures(), Recipe(method="minmax"), io="uint8")
    errors = debugger.compare(equalise.like(content, evened), evened, _both(_pictures()))
    assert min(error.sqnr for error in errors) > 25


def _weights(content: bytes) -> np.ndarray:
    flat = TFLiteGraph(content)
    return np.concatenate([flat.values(operator.inputs[1]).ravel() for operator in flat.convolutions()])


def test_the_last_layers_figures_by_numpy(floating: bytes, quantized: bytes) -> None:
    outputs: list[list[np.ndarray]] = [[], []]
    for content, found in zip((floating, quantized), outputs, strict=True):
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        (source,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
        for x in _pictures():
            stored = x if source["dtype"] == np.float32 else np.round(x / source["quantization"][0]).clip(0, 255).astype(np.uint8)
            interpreter.set_tensor(source["index"], stored)
            interpreter.invoke()
            scale, zero = end["quantization"]
            value = interpreter.get_tensor(end["index"]).astype(np.float64)
            found.append((value - zero) * scale if scale else value)
    x, x8 = (np.ravel(found) for found in outputs)
    error = debugger.compare(floating, quantized, _both(_pictures()))[-1]
    assert error.layer == "output"
    assert error.kind == "LOGISTIC"
    assert error.sqnr == pytest.approx(10 * np.log10(np.sum(x**2) / np.sum((x - x8) ** 2)), abs=0.5)  # two int8 kernels differ by a step
    assert error.cosine == pytest.approx(x @ x8 / np.linalg.norm(x) / np.linalg.norm(x8), abs=1e-4)


def test_files_that_do_not_belong_together_are_refused(floating: bytes, quantized: bytes) -> None:
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    other = tflite.convert(keras.Model(image, layers.Conv2D(1, 1, name="another")(image)), "fp32")
    with pytest.raises(InputError, match="no layer in common"):
        debugger.compare(floating, other, _both(_pictures()))
    with pytest.raises(InputError, match="no layer in common: give the int8 file and the checkpoint or float file"):
        debugger.compare(quantized, floating, _both(_pictures()))


@pytest.fixture
def files(tmp_path: Path, floating: bytes, quantized: bytes) -> tuple[Path, Path, Path]:
    card = Card(arch="a", wm=1, size=(SIZE, SIZE), input=UNIT, output="prob")
    paths = []
    for name, content, io in (("net.tflite", floating, "float32"), ("int8.tflite", _spoil(quantized, "third"), "uint8")):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
        Card(**{**vars(card), "io": io, "quant": "int8" if io == "uint8" else "fp32"}).save(card_path(paths[-1]))
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(3):
            picture = np.random.default_rng(number).integers(0, 256, (40, 40, 3) if kind == "images" else (40, 40))
            cv2.imwrite(str(tmp_path / "data" / kind / f"{number}.png"), picture.astype(np.uint8))
    return paths[0], paths[1], tmp_path / "data"


def test_the_command(files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    floating, int8, data = files
    arguments = [str(floating), str(int8), "--data", str(data), "--out", str(tmp_path / "debug.png")]
    assert main("quant-debug", arguments) == 0
    out = capsys.readouterr().out
    table = out.split("cosine")[1].splitlines()[1:6]
    assert table[0].startswith("third")
    assert len(table) == 5
    assert "export.py CHECKPOINT --keep-float third" in out
    plot = cv2.imread(str(tmp_path / "debug.png"))
    assert plot.std() > 10
    with (tmp_path / "debug.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["layer"] for row in rows] == ["first", "second", "third", "fourth", "sum", "head", "output"]

    assert main("quant-debug", arguments) == 2
    assert "debug.png exists already; add --force" in capsys.readouterr().err


def test_a_float_file_of_ours_is_brought_into_the_form_of_the_int8_file(tmp_path: Path) -> None:
    """Which has other operations for hard swish, and weights that differ by its sixth and by the factors of channels."""
    folder = tmp_path / "data"
    for kind, picture in (
        ("images", cv2.imread(str(ROOT / "portraitseg/assets/astronaut.jpg"))),
        ("masks", np.zeros((512, 512), np.uint8)),
    ):
        (folder / kind).mkdir(parents=True)
        cv2.imwrite(str(folder / kind / "astronaut.png"), picture)
    pair = [str(ROOT / "models" / f"selfie_net-wm100-160-{quant}.tflite") for quant in ("fp16", "int8")]
    assert main("quant-debug", [*pair, "--data", str(folder), "--out", str(tmp_path / "debug.png")]) == 0
    with (tmp_path / "debug.csv").open() as file:
        rows = {row["layer"]: float(row["own"]) for row in csv.DictReader(file)}
    assert {"enc_stem", "enc_stem_hard_swish", "enc_block3_gate_relu", "output"} <= set(rows)
    assert len(rows) > 100
    assert min(rows.values()) > 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floating": "net.onnx"}, "the first file must be a checkpoint"),
        ({"quantized": "none.tflite"}, "no file .*none.tflite"),
        ({"out": "plot.svg"}, "the plot is written as .png"),
        ({"pictures": "0"}, "--pictures must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_compared(
    files: tuple[Path, Path, Path], tmp_path: Path, change: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"floating": files[0].name, "quantized": files[1].name, "out": "debug.png", "pictures": "2", **change}
    paths = {name: str(tmp_path / given[name]) for name in ("floating", "quantized", "out")}
    options = ["--data", str(files[2]), "--out", paths["out"], "--pictures", given["pictures"]]
    assert main("quant-debug", [paths["floating"], paths["quantized"], *options]) == 2
    assert re.search(message, capsys.readouterr().err)
