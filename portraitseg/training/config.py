"""The settings of a run; the flags of `train` are made from them, so each default stands here alone."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.training import phases
from portraitseg.training.phases import Phase
from portraitseg.training.settings import (
    DataSettings,
    DeviceSettings,
    LossSettings,
    NetSettings,
    OptimiserSettings,
    QuantizationSettings,
    TeacherSettings,
    TrackingSettings,
)

PATHS = ("init", "out", "data", "val", "backgrounds", "teacher_cache", "unlabelled", "encoder_teacher")
"""The settings that are paths."""
PATH_LISTS = ("teacher", "view_teacher")
"""The settings that are lists of paths."""
LISTS = ("data_names", "qat")
"""The settings that are lists of words."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(
    DeviceSettings,
    TrackingSettings,
    QuantizationSettings,
    TeacherSettings,
    OptimiserSettings,
    LossSettings,
    DataSettings,
    NetSettings,
):
    """Settings of one training run."""

    out: Path = Path("runs")
    """Folder of the runs."""
    name: str = ""
    """The run's folder in it (default: ARCH-DATA)."""
    preset: Annotated[str, tyro.conf.Suppress] = ""
    """The published recipe that the settings were taken from; a flag only of the commands that take them from it."""

    def plan(self) -> list[Phase]:
        """The run's phases, in order.

        Raises:
            InputError: a number is out of range, or nothing is left after the frozen epochs.
        """
        self.check()
        if self.strategy == "multiworker" and self.rounds > 1:
            raise InputError("--rounds are for one machine; leave it out with --strategy multiworker, or train each round by itself")
        self.check_samples()
        if self.init and self.pretrained:
            raise InputError("--init gives the encoder its weights too; leave out --pretrained, or --init")
        if self.pretrained_range and not self.pretrained and (self.init is None or self.init.suffix == ".h5"):
            raise InputError(
                "--pretrained-range says how the weights of --pretrained, or of an --init that is no checkpoint, were trained; "
                "give these too, or leave it out"
            )
        if self.encoder_teacher and (self.strategy != "single" or self.qat_start):
            raise InputError("--encoder-teacher is for float training on one device; leave it out, or --strategy and --qat")
        if self.view_teacher and self.strategy != "single":
            raise InputError("--view-teacher is for training on one device; leave it out, or --strategy")
        self.check_qat()
        if self.qat is not None and self.strategy != "single":
            raise InputError("quantization-aware training is for one device; leave out --strategy, or --qat and start it afterwards")
        if self.qat_start:
            return self.qat_plan()
        if self.phases:
            if self.epochs is not None or self.freeze_epochs:
                raise InputError("--phases stands in place of --epochs and --freeze-epochs; leave these two out, or give --phases ''")
            return phases.parse(self.phases, lr=self.lr)
        total = self.total_epochs
        if total < 1:
            raise InputError(f"--epochs must be at least 1, got {total}")
        if self.freeze_epochs > total:
            raise InputError(f"--freeze-epochs {self.freeze_epochs} is more than --epochs {total}; lower it or train longer")
        plan = [
            Phase(name="decoder", epochs=self.freeze_epochs, lr=self.lr, frozen="enc_"),
            Phase(name="all", epochs=total - self.freeze_epochs, lr=self.lr),
        ]
        return [phase for phase in plan if phase.epochs]

    @property
    def total_epochs(self) -> int:
        """Epochs of all phases; with --qat as a last phase, without it."""
        if self.qat_start:
            return self.qat_epochs
        if self.phases:
            return sum(phase.epochs for phase in phases.parse(self.phases, lr=self.lr))
        if self.epochs is not None:
            return self.epochs
        return 4 if self.data is None else 20

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        plain = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return {**plain, **{key: [str(path) for path in getattr(self, key)] for key in PATH_LISTS}}

    @staticmethod
    def load(path: Path) -> "TrainConfig":
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or is not such a file.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            paths = {key: Path(raw[key]) for key in PATHS if raw.get(key) is not None}
            lists = {key: tuple(raw[key]) for key in LISTS if raw.get(key) is not None}
            lists |= {key: tuple(map(Path, raw.get(key) or ())) for key in PATH_LISTS}
            return TrainConfig(**{**raw, **paths, **lists})
        except FileNotFoundError as error:
            raise InputError(f"no run to resume: {path} is missing; give the folder of a run, such as runs/NAME") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} does not hold the settings of a run ({error}); start a new run") from error
