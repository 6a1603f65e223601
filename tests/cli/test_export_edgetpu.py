"""`export --target edgetpu`: from a checkpoint to a file that the published rules map whole, or to a refusal that says what to do."""

from pathlib import Path

import numpy as np
import pytest
from tf_keras import layers

from portraitseg import archs, checkpoint
from portraitseg.archs import ArchSpec
from portraitseg.cli import main
from portraitseg.export import delegates
from portraitseg.export.delegates.graph import read
from portraitseg.layers import HardSwish, KerasTensor


def _plain(x: KerasTensor, *, wm: float, classes: int = 1) -> KerasTensor:
    x = layers.ReLU(6.0, name="relu")(layers.Conv2D(8, 3, 2, padding="same", name="stem")(x))
    x = layers.ReLU(name="up_relu")(layers.Conv2DTranspose(8, 3, 2, padding="same", name="up")(x))
    return layers.Conv2D(classes, 1, name="head_conv")(x)


def _swish(x: KerasTensor, *, wm: float, classes: int = 1) -> KerasTensor:
    return layers.Conv2D(classes, 1, name="head_conv")(HardSwish(name="stem_swish")(layers.Conv2D(8, 3, padding="same", name="stem")(x)))


def _leaky(x: KerasTensor, *, wm: float, classes: int = 1) -> KerasTensor:
    return layers.Conv2D(classes, 1, name="head_conv")(
        layers.LeakyReLU(0.1, name="bent")(layers.Conv2D(8, 3, padding="same", name="stem")(x))
    )


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A checkpoint whose prob varies over the picture and with biases, as after training."""
    builder, classes = request.param
    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=builder, size=32, wm=1.0, encoder="none", paper="-"))
    card = archs.new_card("tiny", classes=classes)
    model = archs.build(card)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([rng.uniform(-0.3, 0.5, weight.shape) for weight in layer.get_weights()])
    path = tmp_path / "best.h5"
    checkpoint.save(model, card, path)
    return path


def _export(saved: Path, *options: str) -> int:
    return main("export", [str(saved), "--target", "edgetpu", "--pictures", "8", "--held-out", "4", "--allow-drop", "100", *options])


@pytest.mark.parametrize("saved", [(_plain, 1), (_plain, 2)], indirect=True)
def test_a_net_of_relus_and_transposed_convolutions_is_mapped_whole(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved) == 0
    assert "Edge TPU (compiler 16): " in capsys.readouterr().out
    path = saved.parent / "tiny-wm100-32-int8.tflite"
    graph = read(path.read_bytes(), path.name)
    assert delegates.examine("edgetpu", graph).whole
    assert {op.version for op in graph.ops if op.name == "TRANSPOSE_CONV"} == {3}
    assert not {"SOFTMAX", "DEPTH_TO_SPACE"} & set(graph.histogram())
    assert main("delegates", [str(path), "--require", "edgetpu"]) == 0


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ((_swish, 1), "layer stem_swish of tiny is; train a net of ReLU6 (--arch munet_mnv2"),
        ((_leaky, 1), "layer bent (LEAKY_RELU) not among its operations: ReLU, or PReLU"),
    ],
    indirect=["saved"],
)
def test_what_the_edge_tpu_has_not_is_refused_by_layer(saved: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(saved.parent.iterdir())
    assert _export(saved) == 2
    assert message in capsys.readouterr().err
    assert sorted(saved.parent.iterdir()) == before


@pytest.mark.parametrize("saved", [(_plain, 1)], indirect=True)
@pytest.mark.parametrize("options", [("--quant", "fp16"), ("--quant", "int8", "--io", "float"), ("--format", "onnx")])
def test_anything_but_bytes_in_a_tflite_is_refused(saved: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert _export(saved, *options) == 2
    assert "--target edgetpu makes a .tflite of 8-bit integers" in capsys.readouterr().err
