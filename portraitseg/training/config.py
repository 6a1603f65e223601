"""The settings of a run; the flags of `train` are made from them, so each default stands here alone."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from portraitseg.errors import InputError
from portraitseg.files import atomic


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Epochs under one freezing rule."""

    name: str
    epochs: int
    lr: float
    frozen: str = ""
    """Layers whose name starts so keep their weights and batch-norm statistics; empty: none."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one training run."""

    arch: str = "munet_mnv3"
    """The net: `portraitseg archs` lists them."""
    wm: float | None = None
    """Width multiplier (default: the arch's own)."""
    size: int | None = None
    """Height and width of the input in pixels, a multiple of 32 (default: the arch's own)."""
    encoder: str | None = None
    """Encoder, where the arch takes one: `portraitseg archs` lists them."""
    decoder: str | None = None
    """Decoder variant, where the arch has some."""
    up: str | None = None
    """How the decoder enlarges, where the arch has a choice."""
    act: str | None = None
    """Activation, where the arch has a choice."""
    resize: str | None = None
    """Where the decoder enlarges bilinearly: half_pixel (default), align_corners or transpose, for runtimes without the former."""
    channels: Literal[3, 4] = 3
    """Channels of the input: RGB, or RGB and the prior (the mask of the frame before)."""
    classes: Literal[1, 2] = 1
    """Output channels: one logit, or two of which channel 1 is the person."""
    pretrained: str | None = None
    """Encoder weights to start from: "imagenet", or an .h5 file with keras.applications' layer names."""

    data: Path | None = None
    """Folder or CSV of pictures with masks (default: the embedded synthetic set, drawn on the fly)."""
    val: Path | None = None
    """Validation folder or CSV (default: DATA/val if there is one, else a tenth of DATA by a hash of the names)."""
    data_names: tuple[str, ...] = ()
    """How the card names the data (default: the folder's name)."""
    licence: str = "not stated"
    """Licence of the trained weights, written into the card."""
    augment: Literal["none", "light", "default", "strong"] = "default"
    """Strength of the augmentation; `portraitseg data preview` shows it."""
    samples: int | None = None
    """Pictures an epoch (default: the whole training set)."""

    epochs: int | None = None
    """Passes over the training set (default: 20, or 4 on the synthetic set)."""
    batch: int = 16
    """Pictures a step."""
    lr: float = 2e-3
    """Peak learning rate of Adam."""
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    """Learning rate: down to 0 along a cosine, down by a factor where validation stands still, or constant; all start with a warm-up."""
    warmup: int = 200
    """Steps over which each phase's learning rate rises from 0."""
    plateau_factor: float = 0.5
    """Schedule plateau: what the learning rate is multiplied by."""
    plateau_patience: int = 3
    """Schedule plateau: epochs without a better validation mIoU before that."""
    patience: int = 0
    """Stop after so many epochs without a better validation mIoU (0: never)."""
    freeze_epochs: int = 0
    """Epochs at the start in which the encoder (layers enc_*) is frozen, batch-norm statistics included."""
    loss: str = "bce=1,dice=0.5"
    """Weighted sum of losses: bce, dice."""
    bn_momentum: float = 0.95
    """Momentum of the batch-norm statistics; a short run needs a small one, or they lag behind the weights."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Arithmetic of the layers; weights and losses stay in float32."""
    seed: int = 0
    """Seed of the weights, the order, the augmentation and the dropout."""

    out: Path = Path("runs")
    """Folder of the runs."""
    name: str = ""
    """The run's folder in it (default: ARCH-DATA)."""

    def phases(self) -> list[Phase]:
        """The run's phases, in order.

        Raises:
            InputError: a number is out of range, or nothing is left after the frozen epochs.
        """
        total = self.total_epochs
        if min(total, self.batch) < 1 or self.lr <= 0 or min(self.freeze_epochs, self.warmup, self.patience) < 0:
            raise InputError("epochs and batch must be at least 1, lr above 0, freeze-epochs, warmup and patience at least 0")
        if self.freeze_epochs > total:
            raise InputError(f"--freeze-epochs {self.freeze_epochs} is more than --epochs {total}; lower it or train longer")
        if not 0 <= self.bn_momentum < 1:
            raise InputError(f"bn-momentum must be at least 0 and below 1, got {self.bn_momentum}; the default is 0.95")
        phases = [
            Phase(name="decoder", epochs=self.freeze_epochs, lr=self.lr, frozen="enc_"),
            Phase(name="all", epochs=total - self.freeze_epochs, lr=self.lr),
        ]
        return [phase for phase in phases if phase.epochs]

    @property
    def options(self) -> dict[str, Any]:
        """The arch's options that were given."""
        given = {name: getattr(self, name) for name in ("encoder", "decoder", "up", "act", "resize")}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def total_epochs(self) -> int:
        """Epochs of all phases."""
        if self.epochs is not None:
            return self.epochs
        return 4 if self.data is None else 20

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")

    def as_json(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    @staticmethod
    def load(path: Path) -> "TrainConfig":
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or is not such a file.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            paths = {key: Path(raw[key]) for key in ("data", "val", "out") if raw.get(key) is not None}
            return replace(TrainConfig(**{**raw, **paths}), data_names=tuple(raw["data_names"]))
        except FileNotFoundError as error:
            raise InputError(f"no run to resume: {path} is missing; give the folder of a run, such as runs/NAME") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} does not hold the settings of a run ({error}); start a new run") from error
