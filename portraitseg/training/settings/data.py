"""What a run is trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Pictures, augmentation, and how the card names them."""

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
