"""`train --teacher`, `--unlabelled` and `--rounds` from the command line: what they say, leave, refuse, and how they go on."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import archs, checkpoint
from portraitseg.cli import main
from portraitseg.data.sources import Folder, open_data
from portraitseg.runtime import open_artifact
from portraitseg.training import trainer as trainer_module
from tests.tiny import SPEC, disc


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch, tmp_path):
    monkeypatch.setitem(archs.ARCHS, "tiny", SPEC)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data(tmp_path) -> Path:
    """16 pictures with masks in data/, and 12 without in more/."""
    random = np.random.default_rng(0)
    for folder in ("data/images", "data/masks", "more"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(28):
        picture, mask = disc(random)
        cv2.imwrite(str(tmp_path / ("data/images" if number < 16 else "more") / f"{number}.png"), picture)
        if number < 16:
            cv2.imwrite(str(tmp_path / "data/masks" / f"{number}.png"), mask)
    return tmp_path


WORDS = ("--arch", "tiny", "--data", "data", "--batch", "4", "--lr", "0.04", "--warmup", "0", "--epochs", "3", "--augment", "none")


def sure(student: Path, least: float) -> int:
    """How many of the pictures in more/ the student cuts out sharply, by its own probs."""
    runtime, count = open_artifact(student), 0
    for path in sorted(Path("more").iterdir()):
        prob = np.rint(255 * runtime(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))) / 255
        count += (prob >= 0.7490).sum() >= least * max(1, (prob >= 0.2509).sum())
    return count


@pytest.mark.slow
def test_rounds_stopped_in_the_second_and_resumed(data, capsys, monkeypatch):
    """Confidence 0.5 in place of 0.9: so small a net's edges are soft."""
    rounds = (*WORDS, "--unlabelled", "more", "--rounds", "2", "--confidence", "0.5")
    assert main("train", [*rounds, "--name", "whole"]) == 0
    printed = capsys.readouterr().out
    kept, total = map(int, re.search(r"sure of its masks of (\d+) of (\d+) unlabelled", printed).groups())
    assert total == 12
    assert kept == sure(Path("runs/whole/best.h5"), 0.5)
    assert kept >= 3
    assert re.search(r"round 1: [\d.]+, round 2: [\d.]+", printed)
    assert not Path("runs/whole/round2/config.json").exists()
    _stop_at(monkeypatch, epoch=1, folder="round2")
    assert main("train", [*rounds, "--name", "parts"]) == 130
    assert "python train.py --resume runs/parts\n" in capsys.readouterr().out
    assert main("train", ["--resume", "runs/parts"]) == 0
    assert "round 1 of 2" not in capsys.readouterr().out
    for name in ("last.h5", "round2/last.h5"):
        whole, parts = (checkpoint.load(Path("runs") / run / name)[0].get_weights() for run in ("whole", "parts"))
        assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    assert main("train", ["--resume", "runs/parts", "--epochs", "9"]) == 2
    assert "leave out --epochs" in capsys.readouterr().err


def _stop_at(monkeypatch, *, epoch: int, folder: str) -> None:
    """Let the run in `folder` be asked to stop in its first step of an epoch, once."""
    batches, stopped = trainer_module.Trainer._batches, []

    def stopping(self):
        if self.folder.name == folder and self.progress.epoch == epoch and not stopped:
            stopped.append(True)
            self.stop_requested = True
        return batches(self)

    monkeypatch.setattr(trainer_module.Trainer, "_batches", stopping)


def test_a_teacher_for_all_pictures_and_its_cache_for_the_next_run(data, capsys):
    student = (*WORDS, "--teacher", str(_net(data)), "--unlabelled", "more", "--epochs", "1")
    assert main("train", [*student, "--name", "student"]) == 0
    assert "more: pictures without a mask: 12" in capsys.readouterr().out
    dataset = open_data(data / "data")
    assert isinstance(dataset.train, Folder)
    kept = {path: path.stat().st_mtime_ns for path in Path("runs/teacher-cache").rglob("*.png")}
    assert len(kept) == len(dataset.train) + 12
    assert main("train", [*student, "--name", "student", "--force"]) == 0
    assert kept == {path: path.stat().st_mtime_ns for path in Path("runs/teacher-cache").rglob("*.png")}


def test_unlabelled_pictures_that_are_validated_on_are_left_out(data, capsys):
    assert main("train", [*WORDS, "--teacher", str(_net(data)), "--unlabelled", ".", "--epochs", "1"]) == 0
    assert "in the training or validation set: 16" in capsys.readouterr().out


def _net(folder: Path) -> Path:
    card = archs.new_card("tiny")
    checkpoint.save(archs.build(card), card, folder / "net.h5")
    return folder / "net.h5"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--unlabelled", "more"], "give a --teacher MODEL, or --rounds 2"),
        (["--rounds", "2"], "give --unlabelled DIR"),
        (["--teacher", "none.h5"], "cannot use the teacher: no model file"),
        (["--teacher", "net.h5", "--unlabelled", "nowhere"], "no folder"),
        (["--teacher", "data/images/0.png"], "it must be .tflite"),
        (["--teacher-input-range=-1..1"], "--teacher-input-range concerns a teacher"),
        (["--teacher", "net.h5", "--distill-temperature", "0"], "must be above 0"),
    ],
)
def test_refusals(data, capsys, words, message):
    _net(data)
    assert main("train", [*WORDS, *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not Path("runs").exists()
