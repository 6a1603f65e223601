"""The training loop on a net of three layers: freezing, resuming bit-exactly, stopping, and what it leaves."""

import csv
import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint, layers
from portraitseg.archs import ArchSpec
from portraitseg.card import Card
from portraitseg.data.sources import Dataset
from portraitseg.errors import InputError
from portraitseg.training import trainer as trainer_module
from portraitseg.training.config import TrainConfig
from portraitseg.training.trainer import RunStoppedError, Trainer
from portraitseg.training.validation import validate


class Discs:
    """Bright discs on dark noise; the disc is the mask."""

    def __init__(self, count: int, *, seed: int = 0) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"disc-{self.seed}-{index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([self.seed, index])
        rows, columns = np.mgrid[:40, :48]
        centre = random.uniform(12, 30, 2)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 100
        picture = random.integers(0, 90, (40, 48, 3)) + 150 * inside[..., None]
        return picture.astype(np.uint8), (255 * inside).astype(np.uint8)


def tiny(x, *, wm, classes):
    x = layers.relu(layers.norm(layers.conv(x, 8, 3, stride=2, name="enc_conv"), name="enc_bn"), name="enc_relu")
    x = layers.Dropout(0.3, name="dec_dropout")(x)
    x = layers.relu(layers.norm(layers.conv(x, 8, 3, name="dec_conv"), name="dec_bn"), name="dec_relu")
    return layers.conv(layers.upsample(x, name="dec_up"), classes, 1, name="head_conv")


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch):
    spec = ArchSpec(builder=tiny, size=32, wm=1.0, encoder="mobilenet_v2", paper="-")
    monkeypatch.setitem(archs.ARCHS, "tiny", spec)
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture
def dataset():
    return Dataset(train=Discs(16), val=Discs(6, seed=1), report=[])


def config(**changes) -> TrainConfig:
    return TrainConfig(**{"arch": "tiny", "epochs": 4, "batch": 4, "warmup": 2, "lr": 1e-2, **changes})


def weights(path):
    model, _ = checkpoint.load(path)
    return model.get_weights()


def stop_after(trainer: Trainer, *, epoch: int, step: int) -> None:
    """Let the run receive a Ctrl-C while it takes step `step` of epoch `epoch`, both from 1."""
    enter = trainer._enter

    def entering(phase):
        enter(phase)
        inner = trainer.step

        def counted(batch):
            if trainer.progress.epoch == epoch - 1 and trainer.progress.step == step - 1:
                os.kill(os.getpid(), signal.SIGINT)
            return inner(batch)

        trainer.step = counted

    trainer._enter = entering


EVERYTHING = {"optimizer": "adamw", "weight_decay": 0.01, "clip_norm": 1.0, "ema": 0.9, "accumulate": 2, "batch": 2}
CYCLED = {"optimizer": "sgd", "schedule": "onecycle", "cycle_momentum": "0.8,0.9", "ema": 0.9, "epochs": None}


@pytest.mark.parametrize(
    ("changes", "epoch", "step"),
    [
        pytest.param({}, 3, 1, marks=pytest.mark.slow),
        pytest.param({"freeze_epochs": 2}, 2, 2, marks=pytest.mark.slow),
        ({**EVERYTHING, "precision": "mixed_float16"}, 2, 2),
        pytest.param({}, 2, 3, marks=pytest.mark.slow),
        pytest.param({"schedule": "plateau", "plateau_patience": 1}, 3, 2, marks=pytest.mark.slow),
        pytest.param({"freeze_epochs": 2}, 3, 1, marks=pytest.mark.slow),
        pytest.param({**CYCLED, "phases": "decoder:2:1e-2:enc_+dec_bn,all:2:1e-3"}, 3, 2, marks=pytest.mark.slow),
        pytest.param({"consistency": 2.0}, 2, 3, marks=pytest.mark.slow),
    ],
)
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, dataset, changes, epoch, step):
    Trainer(config(**changes), dataset, tmp_path / "whole").fit()
    first = Trainer(config(**changes), dataset, tmp_path / "parts")
    stop_after(first, epoch=epoch, step=step)
    with pytest.raises(RunStoppedError):
        first.fit()
    Trainer(config(**changes), dataset, tmp_path / "parts", resume=True).fit()
    whole, parts = weights(tmp_path / "whole" / "last.h5"), weights(tmp_path / "parts" / "last.h5")
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [[{**row, "seconds": 0} for row in csv.DictReader((tmp_path / run / "log.csv").open())] for run in ("whole", "parts")]
    assert rows[0] == rows[1]
    assert [int(row["epoch"]) for row in rows[0]] == [1, 2, 3, 4]


@pytest.mark.slow
def test_two_epochs_and_two_more_equal_four(tmp_path, dataset):
    constant = {"schedule": "constant"}
    Trainer(config(**constant), dataset, tmp_path / "four").fit()
    Trainer(config(**constant, epochs=2), dataset, tmp_path / "two").fit()
    Trainer(config(**constant), dataset, tmp_path / "two", resume=True).fit()
    four, two = weights(tmp_path / "four" / "last.h5"), weights(tmp_path / "two" / "last.h5")
    assert all(np.array_equal(a, b) for a, b in zip(four, two, strict=True))


def test_another_seed_gives_other_weights(tmp_path, dataset):
    for seed in (0, 1):
        Trainer(config(epochs=1, seed=seed), dataset, tmp_path / str(seed)).fit()
    first, second = (weights(tmp_path / str(seed) / "last.h5")[0] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_it_learns(tmp_path, dataset):
    trainer = Trainer(config(epochs=20, augment="none"), dataset, tmp_path / "run")
    before = validate(trainer.model, trainer.card, dataset.val)["miou"]
    assert trainer.fit().metrics["miou"] > max(75, before + 20)  # bright against dark is learnt by any net that trains at all


def test_frozen_encoder_stays_bit_identical_and_then_moves(tmp_path, dataset):
    trainer = Trainer(config(epochs=2, freeze_epochs=1), dataset, tmp_path / "run")
    before = {layer.name: layer.get_weights() for layer in trainer.model.layers}
    after_first = {}
    finish = trainer._finish_epoch

    def finishing(phase, lr, started):
        if phase.name == "decoder":
            after_first.update({layer.name: layer.get_weights() for layer in trainer.model.layers})
        finish(phase, lr, started)

    trainer._finish_epoch = finishing
    trainer.fit()
    for name in ("enc_conv", "enc_bn"):
        assert all(np.array_equal(a, b) for a, b in zip(before[name], after_first[name], strict=True))
        assert not all(np.array_equal(a, b) for a, b in zip(before[name], trainer.model.get_layer(name).get_weights(), strict=True))
    assert not np.array_equal(before["dec_conv"][0], after_first["dec_conv"][0])


def test_not_finite_loss_names_step_rate_and_pictures(tmp_path, dataset, monkeypatch):
    trainer = Trainer(config(), dataset, tmp_path / "run")
    monkeypatch.setattr(trainer, "objective", lambda model, batch: tf.reduce_sum(model(batch["x"])) * float("nan"))
    with pytest.raises(InputError, match=r"the loss became nan at epoch 1, step 1, learning rate .*disc-0-\d+, disc-0-\d+"):
        trainer.fit()


def test_best_is_the_best_epochs_and_its_card_says_so(tmp_path, dataset):
    card = Trainer(config(epochs=3), dataset, tmp_path / "run").fit()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    best = max(rows, key=lambda row: float(row["val_miou"]))
    assert card.metrics["miou"] == pytest.approx(float(best["val_miou"]))
    assert card.metrics["epoch"] == int(best["epoch"])
    model, loaded = checkpoint.load(tmp_path / "run" / "best.h5")
    assert validate(model, loaded, dataset.val)["miou"] == pytest.approx(card.metrics["miou"], abs=1e-9)


def test_the_best_card_tells_the_whole_runs_hours_also_of_a_run_that_was_stopped(tmp_path, dataset):
    first = Trainer(config(epochs=2), dataset, tmp_path / "run")
    stop_after(first, epoch=2, step=2)
    with pytest.raises(RunStoppedError):
        first.fit()
    seconds = first.progress.seconds
    second = Trainer(config(epochs=2), dataset, tmp_path / "run", resume=True)
    card = second.fit()
    assert second.progress.seconds > seconds > 0
    assert card == checkpoint.read_card(tmp_path / "run" / "best.h5")
    assert card.made["hours"] == pytest.approx(second.progress.seconds / 3600, abs=5e-4)
    assert card.made["commands"] == ["python train.py --arch tiny --epochs 2 --batch 4 --lr 0.01 --warmup 2"]


def test_what_a_run_started_from_is_told_first(tmp_path, dataset):
    card = Trainer(config(epochs=1), dataset, tmp_path / "first").fit()
    start = replace(card, made={**card.made, "hours": 2.0})
    start.save(tmp_path / "first" / "best.json")
    more = config(epochs=1, init=tmp_path / "first" / "best.h5", seed=1)
    last = Trainer(more, dataset, tmp_path / "second").fit()
    assert [line.split()[-2:] for line in last.made["commands"]] == [["--warmup", "2"], ["--seed", "1"]]
    assert "--init best.h5" in last.made["commands"][1]
    assert 2 <= last.made["hours"] < 2.1
    start.save(tmp_path / "first" / "gone.json")
    (tmp_path / "first" / "best.h5").unlink()  # a resumed run goes by its own state
    assert Trainer(more, dataset, tmp_path / "second", resume=True).fit().made == last.made


def test_the_average_is_what_is_validated_and_saved(tmp_path, dataset):
    trainer = Trainer(config(epochs=2, ema=0.9), dataset, tmp_path / "run")
    trainer.fit()
    raw, averaged = trainer.model.get_weights(), weights(tmp_path / "run" / "last.h5")
    assert all(not np.array_equal(a, b) for a, b in zip(raw, averaged, strict=True))
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(averaged, trainer.average.averages, strict=True))
    model, card = checkpoint.load(tmp_path / "run" / "last.h5")
    assert validate(model, card, dataset.val)["miou"] == pytest.approx(card.metrics["miou"], abs=1e-9)


def test_a_run_with_accumulated_batches_is_the_run_with_large_ones(tmp_path, dataset, monkeypatch):
    def plain(x, *, wm, classes):
        x = layers.relu(layers.conv(x, 8, 3, stride=2, name="enc_conv"), name="enc_relu")
        return layers.conv(layers.upsample(x, name="dec_up"), classes, 1, name="head_conv")

    monkeypatch.setitem(archs.ARCHS, "plain", ArchSpec(builder=plain, size=32, wm=1.0, paper="-"))
    for name, sizes in {"large": {"batch": 8}, "parts": {"batch": 2, "accumulate": 4}}.items():
        Trainer(config(arch="plain", loss="bce=1", epochs=3, optimizer="sgd", **sizes), dataset, tmp_path / name).fit()
    large, parts = (list(csv.DictReader((tmp_path / name / "log.csv").open())) for name in ("large", "parts"))
    assert [row["lr"] for row in large] == [row["lr"] for row in parts]
    assert [float(row["loss"]) for row in large] == pytest.approx([float(row["loss"]) for row in parts], abs=1e-5)
    for a, b in zip(weights(tmp_path / "large" / "last.h5"), weights(tmp_path / "parts" / "last.h5"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_phases_have_their_own_rates_freezing_and_plateau(tmp_path, dataset, monkeypatch):
    monkeypatch.setattr(trainer_module, "validate", lambda *_: {"miou": 50.0, "iou": 0.0, "mae": 0.0})
    phases = {"phases": "head:3:1e-2:enc_+dec_,decoder:1:1e-3:enc_,all:1", "epochs": None, "lr": 1e-4}
    trainer = Trainer(config(**phases, schedule="plateau", plateau_patience=1, warmup=0), dataset, tmp_path / "run")
    trained, enter = [], trainer._enter
    trainer._enter = lambda phase: (enter(phase), trained.append(len(trainer.model.trainable_variables)))
    trainer.fit()
    rows = trainer.progress.history
    assert [(row["phase"], row["lr"]) for row in rows] == [
        ("head", pytest.approx(1e-2)),
        ("head", pytest.approx(1e-2)),
        ("head", pytest.approx(5e-3)),
        ("decoder", pytest.approx(1e-3)),
        ("all", pytest.approx(1e-4)),
    ]
    count = {prefix: sum(weight.name.startswith(prefix) for weight in trainer.model.trainable_variables) for prefix in ("enc_", "dec_")}
    assert trained == [len(trainer.model.trainable_variables) - sum(count.values()), trained[2] - count["enc_"], trained[2]]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_cycles_move_rate_and_momentum_in_every_step(tmp_path, dataset, optimizer):
    """Four steps of a cycle from a fifth of the rate: base, half of the way, peak, half of the way."""
    changes = {"optimizer": optimizer, "schedule": "onecycle", "cycle_base": 0.2, "annihilation": 0.0, "cycle_momentum": "0.8,0.9"}
    trainer = Trainer(config(epochs=1, **changes), dataset, tmp_path / "run")
    seen, enter = [], trainer._enter

    def entering(phase):
        enter(phase)
        inner, used = trainer.step, trainer.optimizer
        momentum = used.momentum if optimizer == "sgd" else used.beta_1
        trainer.step = lambda batch: (seen.append((float(used.learning_rate), float(momentum))), inner(batch))[1]

    trainer._enter = entering
    trainer.fit()
    wanted = [(2e-3, 0.9), (6e-3, 0.85), (1e-2, 0.8), (6e-3, 0.85)]
    assert [number for pair in seen for number in pair] == pytest.approx([number for pair in wanted for number in pair])


def test_a_wrong_prefix_is_said_before_the_first_phase(tmp_path, dataset):
    with pytest.raises(InputError, match="no layer with weights starts with 'stem_'"):
        Trainer(config(phases="all:1,most:1::stem_", epochs=None), dataset, tmp_path)


def test_early_stopping(tmp_path, dataset, monkeypatch):
    scores = iter([50.0, 40.0, 45.0, 60.0])
    monkeypatch.setattr(trainer_module, "validate", lambda *_: {"miou": next(scores), "iou": 0.0, "mae": 0.0})
    trainer = Trainer(config(patience=2), dataset, tmp_path / "run")
    trainer.fit()
    assert trainer.progress.epoch == 3


def test_plateau_halves_the_rate(tmp_path, dataset, monkeypatch):
    monkeypatch.setattr(trainer_module, "validate", lambda *_: {"miou": 50.0, "iou": 0.0, "mae": 0.0})
    trainer = Trainer(config(schedule="plateau", plateau_patience=1, warmup=0), dataset, tmp_path / "run")
    trainer.fit()
    assert [row["lr"] for row in trainer.progress.history] == pytest.approx([1e-2, 1e-2, 5e-3, 2.5e-3])


def test_resume_refuses_other_pictures(tmp_path, dataset):
    Trainer(config(epochs=1), dataset, tmp_path / "run").fit()
    other = Dataset(train=Discs(17), val=dataset.val, report=[])
    with pytest.raises(InputError, match="training pictures changed"):
        Trainer(config(), other, tmp_path / "run", resume=True)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not a whole archive"])
def test_resume_from_a_missing_or_broken_state(tmp_path, dataset, content):
    if content is not None:
        (tmp_path / "last.state.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"no run to resume|is broken"):
        Trainer(config(), dataset, tmp_path, resume=True)


def test_what_a_run_leaves(tmp_path, dataset):
    Trainer(config(epochs=1), dataset, tmp_path / "run").fit()
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"best.h5", "best.json", "last.h5", "last.json", "last.state.npz", "log.csv", "curves.png", "tensorboard"}
    assert Card.load(tmp_path / "run" / "last.json").training["arch"] == "tiny"
    events = list((tmp_path / "run" / "tensorboard").iterdir())
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(str(events[0])) for value in event.summary.value}
    assert {"loss", "lr", "val_miou"} <= tags


def test_settings_survive_their_file(tmp_path):
    settings = config(data_names=("a", "b"), pretrained="imagenet")
    settings.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == settings
    assert json.loads((tmp_path / "config.json").read_text())["out"] == "runs"


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 0}, {"batch": 0}, {"lr": 0.0}, {"freeze_epochs": 5}, {"bn_momentum": 1.0}, {"loss": "bce=x"}, {"phases": "all"}],
)
def test_impossible_settings_are_refused(tmp_path, dataset, changes):
    with pytest.raises(InputError):
        Trainer(config(**changes), dataset, tmp_path)


@pytest.mark.slow
def test_a_real_net_resumes_bit_exactly(tmp_path, dataset):
    settings = {"arch": "munet_mnv2", "size": 64, "epochs": 2}
    Trainer(config(**settings), dataset, tmp_path / "whole").fit()
    first = Trainer(config(**settings), dataset, tmp_path / "parts")
    stop_after(first, epoch=2, step=2)
    with pytest.raises(RunStoppedError):
        first.fit()
    Trainer(config(**settings), dataset, tmp_path / "parts", resume=True).fit()
    whole, parts = weights(tmp_path / "whole" / "last.h5"), weights(tmp_path / "parts" / "last.h5")
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
