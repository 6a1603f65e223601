"""`train` from the command line: what it refuses, what it leaves, how it goes on."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import archs, checkpoint, layers
from portraitseg.archs import ArchSpec, Heads
from portraitseg.card import CAFFE, Card
from portraitseg.cli import main
from portraitseg.training import trainer as trainer_module
from tests.tiny import SPEC, disc


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch, tmp_path):
    monkeypatch.setitem(archs.ARCHS, "tiny", SPEC)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(24):
        picture, mask = disc(random)
        cv2.imwrite(str(folder / "images" / f"{number}.jpg"), picture)
        cv2.imwrite(str(folder / "masks" / f"{number}.png"), mask)
    return folder


def train(*words: str) -> int:
    return main("train", ["--arch", "tiny", "--epochs", "2", "--batch", "4", *words])


def test_what_a_run_leaves_and_says(data, capsys):
    assert train("--data", str(data)) == 0
    folder = Path("runs/tiny-pictures")
    left = {path.name for path in folder.iterdir()}
    assert {"best.h5", "best.json", "last.h5", "last.json", "config.json", "log.csv", "curves.png", "sheet.png", "tensorboard"} <= left
    assert cv2.imread(str(folder / "sheet.png")).std() > 10
    printed = capsys.readouterr().out
    command = re.search(r"python eval\.py (\S+)", printed)
    assert command
    assert main("eval", [command[1], "--worst", "1"]) == 0
    assert "of the training run's validation pictures" in capsys.readouterr().out
    assert "python export.py runs/tiny-pictures/best.h5 --quant int8" in printed
    assert "--model runs/tiny-pictures/tiny-wm100-32-int8.tflite" in printed


@pytest.mark.parametrize("classes", ["2", pytest.param("1", marks=pytest.mark.slow)])
def test_a_net_with_training_only_outputs_from_training_to_artifact(data, capsys, monkeypatch, classes):
    def tiny_with_aux(x, *, wm, classes):
        x = layers.relu(layers.norm(layers.conv(x, 8, 3, stride=2, name="enc_conv"), name="enc_bn"), name="enc_relu")
        x = layers.upsample(x, name="dec_up")
        heads = {name: layers.conv(x, classes, 1, name=f"head_{name}") for name in ("logits", "boundary", "side")}
        return Heads(heads.pop("logits"), heads)

    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=tiny_with_aux, size=32, input=CAFFE, paper="-"))
    arguments = ["--data", str(data), "--channels", "4", "--classes", classes, "--epochs", "6", "--lr", "0.02", "--warmup", "0"]
    assert train(*arguments, "--augment", "none") == 0
    folder = Path("runs/tiny-pictures")
    assert {"head_boundary", "head_side"} <= {layer.name for layer in checkpoint.load(folder / "best.h5")[0].layers}
    assert main("export", [str(folder / "best.h5"), "--quant", "int8", "--allow-drop", "5"]) == 0
    artifact = folder / "tiny-wm100-32-prior-int8.tflite"
    metrics = Card.load(artifact.with_suffix(".json")).metrics
    assert metrics["parity_mean_abs"] < 0.05, metrics
    scores = [_iou(path, data, capsys) for path in (folder / "best.h5", artifact)]
    assert min(scores) > 60
    assert abs(scores[0] - scores[1]) < 5
    assert main("test", [str(data / "images" / "0.jpg"), "--model", str(artifact)]) == 0
    found, truth = (cv2.imread(str(path), 0) for path in ("runs/test/0-mask.png", data / "masks" / "0.png"))
    assert np.mean((found > 127) == (truth > 127)) > 0.85


def _iou(model: Path, data: Path, capsys) -> float:
    assert main("eval", [str(model), "--data", str(data), "--worst", "0", "--out", f"runs/{model.stem}{model.suffix}"]) == 0
    return float(re.search(r"IoU of the person +([\d.]+)", capsys.readouterr().out)[1])


def test_an_existing_run_is_not_lost(data, capsys):
    assert train("--data", str(data)) == 0
    before = Path("runs/tiny-pictures/best.h5").stat().st_mtime_ns
    assert train("--data", str(data)) == 2
    assert "--resume runs/tiny-pictures" in capsys.readouterr().err
    assert Path("runs/tiny-pictures/best.h5").stat().st_mtime_ns == before
    assert train("--data", str(data), "--force") == 0


def test_stopped_and_resumed(data, capsys, monkeypatch):
    step = trainer_module.Trainer._learning_rate

    def stopping(self, phase, number, total):
        self.stop_requested = number == 6
        return step(self, phase, number, total)

    monkeypatch.setattr(trainer_module.Trainer, "_learning_rate", stopping)
    assert train("--data", str(data)) == 130
    assert "python train.py --resume runs/tiny-pictures" in capsys.readouterr().out
    assert main("train", ["--resume", "runs/tiny-pictures"]) == 0
    assert len(Path("runs/tiny-pictures/log.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--arch", "nets"], "unknown arch 'nets'; choose one of"),
        (["--size", "100"], "multiple of 32, got 100; try 96"),
        (["--wm", "0"], "above 0"),
        (["--wm", "-1"], "above 0"),
        (["--epochs", "0"], "at least 1"),
        (["--loss", "hinge"], "bce=1,dice=0.5"),
        (["--data", "nowhere"], "nowhere"),
        (["--decoder", "deconv"], "tiny has no decoder"),
        (["--pretrained", "nowhere.h5"], "no pretrained weights nowhere.h5"),
        (["--init", "nowhere.h5"], "no checkpoint"),
        (["--init", "nowhere.h5", "--pretrained", "imagenet"], "--init gives the encoder its weights too"),
        (["--resume", "runs/none"], "leave out --arch, --batch"),
    ],
)
def test_refusals(data, capsys, words, message):
    assert train("--data", str(data), *words) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert not Path("runs").exists()


def test_resume_of_nothing(capsys):
    assert main("train", ["--resume", "runs/none"]) == 2
    assert "no run to resume" in capsys.readouterr().err


def test_an_unknown_flag_exits_with_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        train("--learning-rate", "1")
    assert stopped.value.code == 2
