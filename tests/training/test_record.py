"""What a checkpoint's card says of its making: the command is read again by the command line, the hours are worked by hand."""

import shlex
from dataclasses import fields, replace
from pathlib import Path

import pytest
import tyro

from portraitseg.cli import train
from portraitseg.training import record
from portraitseg.training.config import TrainConfig
from portraitseg.training.presets import PRESETS


def parsed(line: str) -> TrainConfig:
    words = shlex.split(line)
    assert words[:2] == ["python", "train.py"]
    found = tyro.cli(train.Config, args=words[2:], default=train.defaults(words[2:]))
    return TrainConfig(**{item.name: getattr(found, item.name) for item in fields(TrainConfig)})


@pytest.mark.parametrize("preset", ["", *PRESETS])
def test_the_command_gives_the_settings_again(preset):
    config = replace(PRESETS[preset].config if preset else TrainConfig(), preset=preset, data=Path("/somewhere/portraits"), seed=3, lr=1e-3)
    config = replace(config, pretrained="/w/net.h5", pretrained_range="-1..1", phases="", teacher=(Path("/t/a.h5"), Path("/t/b.h5")))
    line = record.command(replace(config, out=Path("/elsewhere"), name="x", licence="mine"))
    assert "/" not in line
    teachers = (Path("a.h5"), Path("b.h5"))
    assert parsed(line) == replace(config, data=Path("portraits"), pretrained="net.h5", teacher=teachers)


def test_without_flags_where_all_is_as_usual():
    assert record.command(TrainConfig()) == "python train.py"


def test_quantization_aware_training_names_its_checkpoint_and_not_the_net():
    config = TrainConfig(arch="prisma_net", size=128, qat=("/runs/p/best.h5",), qat_epochs=2)
    assert record.command(config) == "python train.py --qat best.h5 --qat-epochs 2"


def test_a_last_phase_of_it_is_told_by_its_own_checkpoint():
    assert record.command(TrainConfig(arch="prisma_net", qat=())) == "python train.py --arch prisma_net"


def test_hours_add_up_and_commands_follow_each_other():
    first = record.made(TrainConfig(seed=1), 1800, {})
    second = record.made(TrainConfig(qat=("best.h5",)), 900, first)
    assert second["hours"] == 0.75
    assert second["commands"] == ["python train.py --seed 1", "python train.py --qat best.h5"]
    assert second["hardware"].endswith("cores")
