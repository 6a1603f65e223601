"""What an interrupted run needs to go on bit-exactly, in one file that appears whole or not at all."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.training.schedules import Plateau


@dataclass
class Progress:
    """How far a run is."""

    data: str = ""
    """Fingerprint of the training set's names."""
    epoch: int = 0
    """Epochs done."""
    step: int = 0
    """Steps done in the running epoch."""
    losses: list[float] = field(default_factory=list)
    """Losses of those steps."""
    seconds: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    """`Card.made` of the checkpoint that the run started from."""
    plateau: Plateau = field(default_factory=Plateau)
    history: list[dict[str, Any]] = field(default_factory=list)
    """One row an epoch, as in log.csv."""


def save(path: Path, model: keras.Model, groups: Mapping[str, Sequence[tf.Variable]], progress: Progress) -> None:
    """Write weights, the groups of other variables, the dropout generator's state and `progress` to `path` (.npz)."""
    arrays = {f"model_{i}": value for i, value in enumerate(model.get_weights())}
    for name, variables in groups.items():
        arrays |= {f"{name}_{i}": variable.numpy() for i, variable in enumerate(variables)}
    arrays["generator"] = tf.random.get_global_generator().state.numpy()
    arrays["progress"] = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
    with atomic(path) as temporary:
        np.savez(temporary, **arrays)


@dataclass(frozen=True)
class Saved:
    """A saved state, read from its file."""

    arrays: dict[str, np.ndarray]
    progress: Progress

    def restore_model(self, model: keras.Model) -> None:
        """Set the weights."""
        model.set_weights(self._numbered("model"))

    def restore(self, group: str, variables: Sequence[tf.Variable]) -> None:
        """Set the variables of a group, as many as were saved.

        Raises:
            InputError: they are not as many.
        """
        values = self._numbered(group)
        if len(values) != len(variables):
            raise InputError(
                f"the saved state has {len(values)} arrays of the {group}, not {len(variables)}; start the run again with --force"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def restore_generator(self) -> None:
        """Set the dropout generator's state."""
        tf.random.get_global_generator().state.assign(self.arrays["generator"])

    def _numbered(self, prefix: str) -> list[np.ndarray]:
        count = sum(key.startswith(f"{prefix}_") for key in self.arrays)
        return [self.arrays[f"{prefix}_{i}"] for i in range(count)]


def load(path: Path) -> Saved:
    """Read a saved state; numbers and JSON only, nothing in the file is executed.

    Raises:
        InputError: the file is missing or broken.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file.items())
        raw = json.loads(arrays["progress"].tobytes())
        return Saved(arrays, Progress(**{**raw, "plateau": Plateau(**raw["plateau"])}))
    except FileNotFoundError as error:
        raise InputError(f"no run to resume: {path} is missing; a run writes it as it starts") from error
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is broken ({error}); start the run again with --force") from error
