"""Published recipes: each can be trained, each differs from the defaults as its source says, and flags win over it."""

import csv
import json
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint
from portraitseg.archs import ArchSpec
from portraitseg.cli import main
from portraitseg.data.sources import Dataset
from portraitseg.errors import InputError
from portraitseg.layers import conv
from portraitseg.training.config import TrainConfig
from portraitseg.training.presets import PRESETS, defaults, difference
from portraitseg.training.trainer import Trainer

SLOW = ("u2net", "u2net-cyclical", "slim", "resunet", "portraitnet", "background-unet")
NARROW = {"u2net": 0.0625, "resunet": 0.0625, "mobilenet_v2_unet": 0.25, "munet_mnv2": 0.35}


@pytest.fixture(autouse=True)
def float32_again():
    yield
    tf.config.run_functions_eagerly(False)
    keras.mixed_precision.set_global_policy("float32")


class Squares:
    """Bright squares on dark noise."""

    def __len__(self) -> int:
        return 4

    def name(self, index: int) -> str:
        return f"square-{index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        mask = np.zeros((64, 64), np.uint8)
        mask[10 + index : 50, 12 : 46 + index] = 255
        noise = np.random.default_rng(index).integers(0, 80, (64, 64, 3))
        return (noise + 150 * (mask > 0)[..., None]).astype(np.uint8), mask


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])  # compiling one takes up to 15 s
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in PRESETS])
def test_one_step_of_each(name, compiled, tmp_path):
    """The weights of the first phase move, at its rate; the others and their statistics stay."""
    tf.config.run_functions_eagerly(not compiled)
    config = PRESETS[name].config
    small = replace(config, size=32, wm=NARROW.get(config.arch), pretrained=None, batch=2)
    trainer = Trainer(small, Dataset(train=Squares(), val=Squares(), report=[]), tmp_path)
    batch = next(trainer.trial())
    trained = {weight.name: weight.numpy() for weight in trainer.model.trainable_variables}
    frozen = [weight.numpy() for layer in trainer.model.layers if not layer.trainable for weight in layer.weights]
    scale = getattr(trainer.optimizer, "loss_scale", 0.0)
    value = float(trainer.step(batch))
    while scale > (scale := getattr(trainer.optimizer, "loss_scale", 0.0)):  # halved: float16 overflowed, and no weight was changed
        trainer.step(batch)
    assert 0 < value < 100
    assert float(trainer.optimizer.learning_rate) == pytest.approx(trainer.phases[0].lr)
    assert batch["x"].shape == (2, 32, 32, config.channels)
    stuck = {weight.name for weight in trainer.model.trainable_variables if np.array_equal(weight.numpy(), trained[weight.name])}
    assert all("boundary" in weight for weight in stuck) or len(stuck) < 0.1 * len(trained)
    after = [weight.numpy() for layer in trainer.model.layers if not layer.trainable for weight in layer.weights]
    assert bool(frozen) == (name in ("mnv3-transition", "background-unet"))
    assert all(np.array_equal(a, b) for a, b in zip(frozen, after, strict=True))
    assert not list(tmp_path.iterdir())


def test_the_settings_of_each_hold_together():
    for preset in PRESETS.values():
        config = replace(preset.config, epochs=preset.config.epochs or (None if preset.config.phases else 20))
        assert sum(phase.epochs for phase in config.plan()) == config.total_epochs
        card = archs.new_card(
            config.arch, wm=config.wm, size=config.size, channels=config.channels, classes=config.classes, **config.options
        )
        assert config.pretrained is None or archs.encoder_of(card)
        assert preset.source
        assert preset.notes


def test_portrait_nets_difference_by_hand():
    """As PortraitNet's paper and code state them."""
    assert difference(TrainConfig(), PRESETS["portraitnet"].config) == {
        "arch": ("munet_mnv3", "portrait_net"),
        "up": (None, "deconv"),
        "classes": (1, 2),
        "loss": ("bce=1,dice=0.5,laplacian=0.5", "bce=1"),
        "consistency": (0.0, 2.0),
        "epochs": (None, 2000),
        "batch": (16, 64),
        "lr": (2e-3, 1e-3),
        "weight_decay": (0.0, 5e-4),
        "clip_norm": (1.0, 0.0),
        "schedule": ("cosine", "step"),
        "warmup": (200, 0),
        "bn_momentum": (0.95, 0.9),
    }
    assert difference(PRESETS["u2net"].config, PRESETS["u2net-cyclical"].config) == {
        "loss": ("bce=1", "bce=1,boundary_rmse=1"),
        "schedule": ("constant", "onecycle"),
        "cycle_momentum": ("", "0.85,0.95"),
    }


def test_defaults_are_the_presets_where_one_is_named():
    assert defaults(TrainConfig, ["--lr", "1"]) == defaults(TrainConfig, ["--preset"]) == TrainConfig()
    for words in (["--lr", "1", "--preset", "slim"], ["--preset=slim", "--other"]):
        assert defaults(TrainConfig, words) == replace(PRESETS["slim"].config, preset="slim")
    with pytest.raises(InputError, match="unknown preset 'slimmer'; choose one of mobile-unet, "):
        defaults(TrainConfig, ["--preset", "slimmer"])


@pytest.fixture
def pictures(tmp_path, monkeypatch) -> Path:
    def tiny(x, *, wm, classes):
        return conv(conv(x, 4, 3, name="enc_conv"), classes, 1, name="head_conv")

    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=tiny, size=32, wm=1.0, paper="-"))
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        picture, mask = Squares().load(number)
        for name, pixels in {"images": picture, "masks": mask}.items():
            (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "pictures" / name / f"{number}.png"), pixels)
    return tmp_path / "pictures"


def test_flags_win_also_where_they_say_the_usual_default_and_the_name_is_kept(pictures, capsys):
    words = ["--preset", "prisma", "--arch", "tiny", "--data", str(pictures), "--lr", "0.002", "--batch", "4", "--epochs", "1"]
    assert main("train", words) == 0
    folder = Path("runs/tiny-pictures")
    config = PRESETS["prisma"].config
    stored = json.loads((folder / "config.json").read_text())
    assert {name: stored[name] for name in ("preset", "arch", "lr", "batch", "epochs")} == {
        "preset": "prisma", "arch": "tiny", "lr": TrainConfig.lr, "batch": 4, "epochs": 1}  # fmt: skip
    given = {"preset", "arch", "lr", "batch", "epochs", "data", "data_names"}
    loaded = TrainConfig.load(folder / "config.json")
    assert all(getattr(loaded, item.name) == getattr(config, item.name) for item in fields(TrainConfig) if item.name not in given)
    assert checkpoint.read_card(folder / "best.h5").training["preset"] == "prisma"

    assert main("train", ["--resume", str(folder), "--preset", "prisma"]) == 2
    assert "leave out --preset" in capsys.readouterr().err
    assert main("train", ["--resume", str(folder), "--epochs", "2"]) == 0
    assert TrainConfig.load(folder / "config.json") == replace(loaded, epochs=2)
    assert [float(row["lr"]) for row in csv.DictReader((folder / "log.csv").open())] == pytest.approx([0.002, 0.002])


def test_an_unknown_preset_is_said(capsys):
    assert main("train", ["--preset", "deeplab"]) == 2
    assert "unknown preset 'deeplab'; choose one of mobile-unet" in capsys.readouterr().err


def test_list_and_show(capsys):
    assert main(argv=["presets"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name} " in printed and preset.source in printed for name, preset in PRESETS.items())
    assert main(argv=["presets", "portraitnet"]) == 0
    printed = capsys.readouterr().out
    assert "  --weight-decay  0.0005        (default: 0.0)" in printed
    assert all(note in printed for note in PRESETS["portraitnet"].notes)
    assert main(argv=["presets", "portraitnet-video", "portraitnet"]) == 0
    printed = capsys.readouterr().out
    assert "--size" in printed
    assert "--consistency" in printed
    assert "--weight-decay" not in printed
    assert main(argv=["presets", "deeplab"]) == 2
    assert "unknown preset" in capsys.readouterr().err
