"""What a run is trained on, and what is made of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portraitseg.errors import InputError

if TYPE_CHECKING:
    from portraitseg.data.composite import Composer
    from portraitseg.data.sources import Source


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """How training samples are made from pictures."""

    augment: Literal["none", "light", "default", "strong"] = "default"
    """Strength of the augmentation; `portraitseg data preview` shows it."""
    prior_empty: float = 0.5
    """Nets with a prior channel: share of samples without a prior, as in a video's first frame; the others get the true mask, moved."""
    composite: float = 0.0
    """Share of samples whose person is cut out and put onto another background."""
    negatives: float = 0.0
    """Share of samples that become a background without anybody, with an empty mask."""
    people: int = 1
    """The most people in a composite; further ones come from other samples."""
    backgrounds: Path | None = None
    """Folder of pictures without people, for --composite and --negatives."""

    def check_samples(self) -> None:
        """See that the settings make sense together.

        Raises:
            InputError: a number is out of range, or a setting changes nothing.
        """
        if not 0 <= self.prior_empty <= 1:
            raise InputError(f"--prior-empty is a share of the samples, 0 to 1; got {self.prior_empty}")
        if min(self.composite, self.negatives) < 0 or self.composite + self.negatives > 1:
            raise InputError(
                f"--composite and --negatives are shares of the samples, together at most 1; got {self.composite} and {self.negatives}"
            )
        if self.people < 1 or (self.people > 1 and not self.composite):
            raise InputError(f"--people is at least 1, and more than 1 only with --composite; got {self.people}")
        if self.backgrounds is None and self.composite + self.negatives:
            raise InputError("--composite and --negatives need --backgrounds DIR, a folder of pictures without people")
        if self.backgrounds is not None and not self.composite + self.negatives:
            raise InputError("--backgrounds changes nothing without --composite or --negatives; try --composite 0.3")

    def composer(self, source: "Source", size: tuple[int, int]) -> "Composer | None":
        """What makes composites of a source's samples for nets of `size` (h,w); None where the settings ask for none.

        Raises:
            InputError: there are no backgrounds.
            ImportError: pymatting is not installed.
        """
        if self.backgrounds is None:
            return None
        from portraitseg.data.composite import Backgrounds, Composer

        shares = {"composite": self.composite, "negatives": self.negatives}
        return Composer(source, Backgrounds(self.backgrounds), size, **shares, people=self.people)


@dataclass(frozen=True, kw_only=True)
class DataSettings(SampleSettings):
    """Pictures, and how the card names them."""

    data: Path | None = None
    """Folder, CSV or shards of pictures with masks (default: the embedded synthetic set, drawn on the fly)."""
    val: Path | None = None
    """Validation folder, CSV or shards (default: DATA/val if there is one, else a tenth of DATA by a hash of the names)."""
    data_names: tuple[str, ...] = ()
    """How the card names the data (default: the folder's name)."""
    licence: str = "not stated"
    """Licence of the trained weights, written into the card."""
    samples: int | None = None
    """Pictures an epoch (default: the whole training set)."""
