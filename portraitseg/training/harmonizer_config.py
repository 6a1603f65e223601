"""The settings of a harmonizer's training; the flags of `portraitseg harmonizer` are made from them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from portraitseg.errors import InputError
from portraitseg.files import atomic

CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)
class HarmonizerConfig:
    """Settings of one run."""

    data: Path | None = None
    """Folder, CSV or shards of pictures with masks (default: synthetic portraits, drawn on the fly)."""
    val: Path | None = None
    """The same, to validate on (default: the data's own val/, or a tenth of it)."""
    out: Path = Path("runs/harmonizer")
    """Folder for what the run leaves."""
    epochs: int = 20
    """Times that every picture is shown, each time recoloured in another way."""
    batch: int = 32
    """Pictures between two changes of the weights."""
    lr: float = 2e-3
    """Peak learning rate; it falls along a cosine to 0."""
    size: int = 64
    """Height and width that the net sees, in pixels; a multiple of 32."""
    seed: int = 0
    """Of weights, order and recolouring."""
    data_names: tuple[str, ...] = ()
    """Names of the data sets, for the card (default: the name of --data)."""
    licence: str = "not stated"
    """Of the weights, for the card."""

    def check(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            InputError: a number is out of range.
        """
        if self.size % 32 or self.size < 32:
            raise InputError(f"--size must be a multiple of 32, got {self.size}; try 64")
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.lr < 1:
            raise InputError(f"--lr must lie between 0 and 1, got {self.lr:g}; try 2e-3")

    def as_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, of the data's folders the names alone."""
        values = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        return values | {key: getattr(self, key).name for key in ("data", "val", "out") if getattr(self, key) is not None}

    def save(self) -> None:
        """Write the settings into the run's folder."""
        with atomic(self.out / CONFIG) as temporary:
            temporary.write_text(json.dumps({k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}, indent=2) + "\n")

    @staticmethod
    def load(folder: Path) -> "HarmonizerConfig":
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no run.
        """
        path = folder / CONFIG
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            paths = {key: Path(raw[key]) for key in ("data", "val") if raw[key] is not None}
            return HarmonizerConfig(**{**raw, **paths, "out": folder, "data_names": tuple(raw["data_names"])})
        except FileNotFoundError as error:
            raise InputError(f"no run to resume: {path} is missing; give the folder of a run, such as runs/harmonizer") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} does not hold the settings of a harmonizer's run ({error}); start a new run") from error
