"""A run of quantization-aware training: the same loop, from a float checkpoint, scored by the int8 file."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import tf_keras as keras

from portraitseg import checkpoint
from portraitseg.card import Card
from portraitseg.data.sources import Dataset, Source
from portraitseg.errors import InputError
from portraitseg.quantization import calibration, qat
from portraitseg.training.config import TrainConfig
from portraitseg.training.settings import NetSettings
from portraitseg.training.trainer import Trainer
from portraitseg.training.validation import Watch

Score = Callable[[keras.Model, Card, Source, Watch | None], dict[str, float]]
"""(net, card, pictures, who sees each prediction) -> metrics of the int8 file that the net becomes."""


class QatTrainer(Trainer):
    """Trains what `--qat` names; its checkpoints' cards have quant "qat"."""

    def __init__(self, config: TrainConfig, dataset: Dataset, folder: Path, *, score: Score, resume: bool = False) -> None:
        self.score = score
        super().__init__(config, dataset, folder, resume=resume)

    def _net(self, *, resume: bool) -> tuple[keras.Model, Card]:
        """The checkpoint's net with the rounding in it; what a resumed run had learned is put into it later."""
        path = self.config.qat_start or Path()
        model, card = checkpoint.load(path)
        if card.quant != "fp32":
            raise InputError(f"--qat starts from a float checkpoint, but {path} is {card.quant}; give the one that it was made from")
        total = len(self.dataset.train)
        indices = calibration.draw(total, self.config.qat_pictures, seed=self.config.seed)
        return qat.prepare(model, card, self.dataset.train, indices)

    def _validate(self, model: keras.Model, watch: Watch | None) -> dict[str, float]:
        return self.score(model, self.card, self.dataset.val, watch)


def settings_for(config: TrainConfig, path: Path) -> TrainConfig:
    """The settings of a run that starts from a checkpoint: its net, whatever the settings say by default.

    Raises:
        InputError: the settings ask for another net, for epochs of another kind, or for several devices; or there is no checkpoint.
    """
    config.check_qat()
    card = checkpoint.read_card(path)
    net: dict[str, Any] = {"arch": card.arch, "wm": card.wm, "size": card.size[0], "channels": card.channels, "classes": card.classes}
    net |= card.options
    for item in fields(NetSettings):
        given = getattr(config, item.name)
        if given not in (item.default, net.get(item.name)):
            raise InputError(f"--qat goes on with the net of {path}; leave out --{item.name} {given}")
    others = {"epochs": None, "phases": "", "freeze_epochs": 0, "rounds": 1, "strategy": "single"}
    for name, default in others.items():
        if getattr(config, name) != default:
            flag = name.replace("_", "-")
            raise InputError(f"--{flag} is not for a run that starts from --qat {path}; leave it out (see --qat-epochs)")
    return replace(config, qat=(str(path),), **net)


def last_phase(config: TrainConfig, best: Path) -> TrainConfig:
    """The settings of the quantization-aware part of a run whose best checkpoint is `best`."""
    plain: dict[str, Any] = {
        "epochs": None,
        "phases": "",
        "freeze_epochs": 0,
        "rounds": 1,
        "init": None,
        "encoder_teacher": None,
        "encoder_weight": 1.0,
        "pretrained": None,
        "pretrained_range": None,
    }
    return replace(config, qat=(str(best),), **plain)
