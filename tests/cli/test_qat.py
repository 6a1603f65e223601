"""Quantization-aware training from the command line: from a checkpoint, as a last phase, and the int8 file at the end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portraitseg import archs, checkpoint, layers
from portraitseg.archs import ArchSpec
from portraitseg.card import Card
from portraitseg.cli import main
from portraitseg.data.synthetic import Synthetic
from portraitseg.export import tflite_report
from portraitseg.quantization import qat


def tiny(x: Any, *, wm: float, classes: int) -> Any:
    x = layers.relu(layers.norm(layers.conv(x, 6, 3, stride=2, name="enc_conv"), name="enc_bn"), name="enc_relu")
    return layers.conv(layers.upsample(x, name="dec_up"), classes, 1, name="head_conv")


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=tiny, size=32, paper="-"))
    monkeypatch.chdir(tmp_path)


def saved(*, learned: bool) -> str:
    card = replace(archs.new_card("tiny", size=32), training={"qat": ["folder/net.h5"]})
    net = archs.build(card), card
    checkpoint.save(*(qat.prepare(*net, Synthetic(2, seed=0, size=32), [0, 1]) if learned else net), Path("net.h5"))
    return "net.h5"


@pytest.mark.slow
@pytest.mark.parametrize("last_phase", [True, False])
def test_a_run_and_its_int8_file(last_phase: bool, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--batch", "4", "--samples", "8", "--qat-epochs", "2", "--qat-pictures", "4", "--name", "run"]
    start = ["--arch", "tiny", "--epochs", "1", "--qat"] if last_phase else ["--qat", saved(learned=False)]
    assert main("train", [*start, *common]) == 0
    folder = Path("runs/run/qat" if last_phase else "runs/run")
    printed = capsys.readouterr().out
    assert f"python export.py {folder}/best.h5 --quant int8" in printed
    assert ("quantization-aware training" in printed) == last_phase
    assert main("train", ["--resume", "runs/run"]) == 0  # finished: nothing is left to do

    assert main("export", [f"{folder}/best.h5", "--held-out", "2", "--allow-drop", "100"]) in (0, 1)
    printed = capsys.readouterr()
    assert "XNNPACK partitions   1" in printed.out
    assert "constant over the picture" in printed.err or (folder / "tiny-wm100-32-int8.tflite").exists()


def test_export_takes_the_ranges_that_were_learned(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("portraitseg.export.parity.MIN_SPREAD", 0.0)  # an untrained net's prob may be constant
    start = saved(learned=True)
    capsys.readouterr()
    assert main("export", [start, "--held-out", "2", "--allow-drop", "100"]) == 0
    assert "calibrating" not in capsys.readouterr().err
    file = Path("tiny-wm100-32-int8.tflite")
    card = Card.load(file.with_suffix(".json"))
    assert card.training["qat"] == ["net.h5"]  # no path of the machine
    assert (card.quant, card.io, card.output, card.calibration["method"]) == ("int8", "uint8", "prob", "qat")
    assert tflite_report.inspect(file.read_bytes()).float_tensors == ()
    assert main("test", ["--model", str(file)]) == 0  # the bundled photo


@pytest.mark.parametrize("flags", ["--quant fp32", "--target plain", "--calibration entropy", "--format onnx"])
def test_a_learned_checkpoint_becomes_int8_alone(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("export", [saved(learned=True), *flags.split()]) == 2
    assert "comes from quantization-aware training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--qat", "nothing.h5"], "nothing.h5; train.py writes them"),
        (["--qat", "net.h5", "--arch", "unet"], "leave out --arch unet"),
        (["--qat", "net.h5", "--epochs", "3"], "--epochs is not for a run that starts from --qat"),
        (["--qat", "a.h5", "b.h5"], "one checkpoint or none"),
        (["--qat", "--qat-freeze-ranges", "1"], "--qat-freeze-ranges is a share"),
    ],
)
def test_what_train_refuses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    saved(learned=False)
    assert main("train", words) == 2
    assert message in capsys.readouterr().err


def test_the_checkpoint_is_not_deleted_by_its_own_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(learned=False)
    assert main("train", ["--qat", "net.h5", "--out", str(tmp_path.parent), "--name", tmp_path.name, "--force"]) == 2
    assert "net.h5 lies in" in capsys.readouterr().err
    assert Path("net.h5").is_file()


def test_lr_find_refuses_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main("lr-find", ["--arch", "tiny", "--qat"]) == 2
    assert "leave out --qat" in capsys.readouterr().err
