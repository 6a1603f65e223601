"""Quantization-aware training: a run from a float checkpoint, whose int8 file is what is scored."""

import csv
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from portraitseg import archs, checkpoint, layers
from portraitseg.archs import ArchSpec
from portraitseg.data.sources import Dataset
from portraitseg.data.synthetic import Synthetic
from portraitseg.errors import InputError, RunStoppedError
from portraitseg.export.qat import convert, score
from portraitseg.quantization.ranges import Range
from portraitseg.training.config import TrainConfig
from portraitseg.training.qat import QatTrainer, last_phase, settings_for

SIZE = 32
DATASET = Dataset(train=Synthetic(8, seed=0, size=SIZE), val=Synthetic(3, seed=1, size=SIZE), report=[])


def tiny(x: Any, *, wm: float, classes: int) -> Any:
    x = layers.relu(layers.norm(layers.conv(x, 6, 3, stride=2, name="enc_conv"), name="enc_bn"), name="enc_relu")
    return layers.conv(layers.upsample(x, name="dec_up"), classes, 1, name="head_conv")


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=tiny, size=SIZE, paper="-"))


QAT_FLAGS = "--qat float.h5 --qat-epochs 3 --qat-lr 0.01 --qat-pictures 4"


@pytest.fixture
def float_net(tmp_path: Path) -> Path:
    card = archs.new_card("tiny", size=SIZE)
    card = replace(card, made={"commands": ["python train.py --arch tiny"], "hours": 1.5, "hardware": "a processor"})
    checkpoint.save(archs.build(card), card, tmp_path / "float.h5")
    return tmp_path / "float.h5"


def config(start: Path, **changes: Any) -> TrainConfig:
    small = {"batch": 4, "warmup": 1, "qat_epochs": 3, "qat_lr": 1e-2, "qat_pictures": 4}
    return settings_for(TrainConfig(**{**small, **changes}), start)


def ranges(path: Path) -> list[np.ndarray]:
    model, _ = checkpoint.load(path)
    return [value for layer in model.layers if isinstance(layer, Range) for value in layer.get_weights()]


def test_a_run(tmp_path: Path, float_net: Path) -> None:
    settings = config(float_net)
    assert (settings.arch, settings.wm, settings.size) == ("tiny", 1.0, SIZE)
    trainer = QatTrainer(settings, DATASET, tmp_path / "run", score=score)
    seen: dict[int, list[np.ndarray]] = {}
    finish = trainer._finish_epoch

    def finishing(*args: Any) -> None:
        finish(*args)
        seen[trainer.progress.epoch] = ranges(trainer.last)

    trainer._finish_epoch = finishing  # type: ignore[method-assign]
    card = trainer.fit()

    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert [row["phase"] for row in rows] == ["qat", "qat", "qat_frozen_ranges"]
    assert not np.array_equal(seen[1], seen[2])
    assert np.array_equal(seen[2], seen[3])
    assert (card.quant, card.calibration["method"]) == ("qat", "qat")
    assert card.made["commands"] == ["python train.py --arch tiny", "python train.py --batch 4 --warmup 1 " + QAT_FLAGS]
    assert 1.5 < card.made["hours"] < 1.6
    model, loaded = checkpoint.load(trainer.best)
    assert score(model, loaded, DATASET.val)["miou"] == card.metrics["miou"]  # the int8 file's, to the last digit
    assert max(float(row["val_miou"]) for row in rows) == pytest.approx(card.metrics["miou"])


@pytest.mark.slow
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, float_net: Path) -> None:
    settings = config(float_net, ema=0.9)
    QatTrainer(settings, DATASET, tmp_path / "whole", score=_nothing).fit()
    first = QatTrainer(settings, DATASET, tmp_path / "parts", score=_nothing)
    enter = first._enter

    def entering(phase: Any) -> None:
        enter(phase)
        inner = first.step

        def step(batch: Any) -> Any:
            if (first.progress.epoch, first.progress.step) == (2, 0):
                os.kill(os.getpid(), signal.SIGINT)
            return inner(batch)

        first.step = step

    first._enter = entering  # type: ignore[method-assign]
    with pytest.raises(RunStoppedError):
        first.fit()
    QatTrainer(settings, DATASET, tmp_path / "parts", score=_nothing, resume=True).fit()
    whole, parts = (checkpoint.load(tmp_path / run / "last.h5")[0].get_weights() for run in ("whole", "parts"))
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def _nothing(*_: Any) -> dict[str, float]:
    return {"miou": 50.0, "iou": 50.0, "mae": 0.5}


@pytest.mark.parametrize(
    ("epochs", "share", "expected"), [(5, 0.3, [3, 2]), (10, 0.3, [7, 3]), (2, 0.1, [1, 1]), (2, 0.9, [1, 1]), (3, 0.0, [3]), (1, 0.3, [1])]
)
def test_the_last_part_has_frozen_ranges(epochs: int, share: float, expected: list[int], float_net: Path) -> None:
    plan = config(float_net, qat_epochs=epochs, qat_freeze_ranges=share).plan()
    assert [phase.epochs for phase in plan] == expected
    assert [phase.prefixes for phase in plan] == [(), ("range_",)][: len(plan)]
    assert plan[0].lr == 1e-2


def test_as_a_last_phase_it_keeps_the_other_settings(float_net: Path) -> None:
    run = TrainConfig(arch="tiny", phases="all:3", loss="bce=1", batch=3, qat=())
    assert [phase.name for phase in run.plan()] == ["all"]
    last = last_phase(run, float_net)
    assert [phase.name for phase in last.plan()] == ["qat", "qat_frozen_ranges"]
    assert (last.loss, last.batch, last.total_epochs) == ("bce=1", 3, 5)


def test_the_settings_come_back_from_their_file(tmp_path: Path, float_net: Path) -> None:
    for settings in (config(float_net), TrainConfig(qat=()), TrainConfig()):
        settings.save(tmp_path / "config.json")
        assert TrainConfig.load(tmp_path / "config.json") == settings


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"arch": "unet"}, "--qat goes on with the net of .*; leave out --arch unet"),
    ({"epochs": 3}, "--epochs is not for a run that starts from --qat"),
    ({"rounds": 2}, "--rounds is not for a run"),
    ({"strategy": "mirrored"}, "--strategy is not for a run"),
    ({"qat_epochs": 0}, "--qat-epochs and --qat-pictures must be at least 1"),
    ({"qat_freeze_ranges": 1.0}, "--qat-freeze-ranges is a share"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_refused(changes: dict[str, Any], message: str, float_net: Path) -> None:
    with pytest.raises(InputError, match=message):
        config(float_net, **changes).plan()


def test_two_checkpoints_or_several_devices_are_refused() -> None:
    with pytest.raises(InputError, match=r"one checkpoint or none, got 2: a\.h5, b\.h5"):
        TrainConfig(qat=("a.h5", "b.h5")).plan()
    with pytest.raises(InputError, match="for one device"):
        TrainConfig(qat=(), strategy="mirrored").plan()


def test_a_start_from_its_own_kind_is_refused(tmp_path: Path, float_net: Path) -> None:
    QatTrainer(config(float_net, qat_epochs=1), DATASET, tmp_path / "run", score=_nothing).fit()
    with pytest.raises(InputError, match=r"starts from a float checkpoint, but .* is qat"):
        QatTrainer(config(tmp_path / "run" / "best.h5"), DATASET, tmp_path / "again", score=_nothing)


def test_half_precision_and_accumulated_batches_leave_the_rounding_in_float32(tmp_path: Path, float_net: Path) -> None:
    settings = config(float_net, qat_epochs=1, precision="mixed_float16", accumulate=2, batch=2)
    trainer = QatTrainer(settings, DATASET, tmp_path / "run", score=_nothing)
    before = trainer.model.get_weights()
    try:
        trainer.fit()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert {layer.compute_dtype for layer in trainer.model.layers} == {"float32"}
    assert not all(np.array_equal(a, b) for a, b in zip(before, trainer.model.get_weights(), strict=True))


def test_what_training_changed_is_in_the_file(tmp_path: Path, float_net: Path) -> None:
    trainer = QatTrainer(config(float_net), DATASET, tmp_path / "run", score=_nothing)
    before = convert(trainer.model, trainer.card)
    trainer.fit()
    assert convert(trainer.model, trainer.card) != before
