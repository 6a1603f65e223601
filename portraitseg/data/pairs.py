"""A picture with its mask, and what a search for pairs gives."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

LAYOUTS = (
    "images/ and masks/ with equal file names (also inside train/ and val/), one folder with x.jpg and x_mask.png, "
    "RGBA pictures whose alpha is the mask, or a CSV with the columns image and mask"
)
TRAIN = ("train", "training")
VAL = ("val", "validation", "valid")
TEST = ("test", "testing")


@dataclass(frozen=True)
class Pair:
    """A picture and its mask; the same file twice where the picture's alpha is the mask."""

    name: str
    image: Path
    mask: Path


@dataclass(kw_only=True)
class Found:
    """What a folder or a CSV holds."""

    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    """By split: "train", "val", "test", or "" where there is none."""
    without_mask: list[str] = field(default_factory=list)
    without_image: list[str] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    """Files left out because another differs from them in the suffix alone."""
    notes: list[str] = field(default_factory=list)

    def all(self) -> list[Pair]:
        """The pairs of every split."""
        return [pair for pairs in self.pairs.values() for pair in pairs]

    def take(self, other: "Found", split: str) -> None:
        """Take over another folder's findings as `split`."""
        self.pairs.setdefault(split, []).extend(other.all())
        self.without_mask += other.without_mask
        self.without_image += other.without_image
        self.doubles += other.doubles
        self.notes += other.notes

    def left_out(self) -> list[str]:
        """The report's lines about files that belong to no pair."""
        rows = {
            "pictures without a mask, left out": self.without_mask,
            "masks without a picture, left out": self.without_image,
            "files that differ from another in the suffix alone, left out": self.doubles,
        }
        return [f"warning: {what}: {listed(names)}" for what, names in rows.items() if names]


def split_of(word: str) -> str:
    """The split that a folder's name or a CSV's cell means; "" for none."""
    word = word.strip().lower()
    return next((names[0] for names in (TRAIN, VAL, TEST) if word in names), "")


def listed(names: Iterable[str]) -> str:
    """How many, and the first five in alphabetical order: "7 (a, b, c, d, e and 2 more)"."""
    names = sorted(names)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)} ({', '.join(names[:5])}{more})"
