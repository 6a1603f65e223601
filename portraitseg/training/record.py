"""How a checkpoint was made, as its card tells it: by which commands, in how many hours, on what."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from portraitseg.command_line import command_line
from portraitseg.device import device_name
from portraitseg.training import presets
from portraitseg.training.config import TrainConfig
from portraitseg.training.settings import NetSettings

SILENT = ("out", "name", "preset", "track", "data_names", "licence")
"""Settings that change no weight: where the run lies, and what stands in the card anyway."""


def made(config: TrainConfig, seconds: float, before: Mapping[str, Any]) -> dict[str, Any]:
    """For `Card.made`.

    Args:
        config: the run's settings.
        seconds: that it took so far, training and validation.
        before: `Card.made` of the checkpoint that the run started from, empty for none.
    """
    return {
        "commands": [*before.get("commands", ()), command(config)],
        "hours": round(before.get("hours", 0.0) + seconds / 3600, 3),
        "hardware": hardware(),
    }


def command(config: TrainConfig) -> str:
    """The line that starts a run with these settings.

    Quantization-aware training is named where it starts from a checkpoint, and that checkpoint then says which net it is.
    """
    words, plain = "python train.py", TrainConfig()
    if config.preset:
        words, plain = f"{words} --preset {config.preset}", presets.find(config.preset).config
    net = [name for name in NetSettings.__dataclass_fields__ if name not in ("pretrained", "pretrained_range")]
    return command_line(words, config, plain, without=(*SILENT, *(net if config.qat_start else () if config.qat is None else ("qat",))))


def hardware() -> str:
    """What TensorFlow computes on: the GPUs, or the processor and its cores."""
    devices = tf.config.list_physical_devices("GPU")
    gpus = [tf.config.experimental.get_device_details(device).get("device_name", "GPU") for device in devices]
    return ", ".join(gpus) or f"{device_name()}, {os.cpu_count()} cores"
