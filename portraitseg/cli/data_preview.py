"""Draw augmented training samples with their masks' outlines, as the first epoch of a run with the same settings sees them.

Without --data the samples come from the embedded set of drawn (synthetic) portraits.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from portraitseg import image, sheet
from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.files import refuse_existing
from portraitseg.training.settings.data import SampleSettings

if TYPE_CHECKING:
    from portraitseg.data.sources import Source

MOST = 400


@dataclass(frozen=True, kw_only=True)
class Config(SampleSettings):
    """What to draw."""

    data: Path | None = None
    """Folder, CSV or shards of pictures with masks (default: the drawn set)."""
    out: Path = Path("preview.png")
    """Contact sheet to write (.png or .jpg)."""
    count: int = 24
    """Samples on the sheet; more than the set has are drawn again, augmented otherwise."""
    arch: str = "munet_mnv3"
    """Arch whose input size is shown."""
    size: int | None = None
    """Height and width in pixels, a multiple of 32 (default: the arch's)."""
    priors: bool = False
    """Show the prior channel beside each sample, as nets for video get it."""
    seed: int = 0
    """Seed of the split, the order and the augmentation."""
    force: bool = False
    """Overwrite the sheet if it exists."""


def run(config: Config) -> int:
    """Write the sheet."""
    refuse_existing(config.out, force=config.force)
    if not 1 <= config.count <= MOST:
        raise InputError(f"count must be between 1 and {MOST}, got {config.count}; the default is 24")
    config.check_samples()
    from portraitseg import archs
    from portraitseg.data.sources import open_data

    card = archs.new_card(config.arch, size=config.size, channels=4 if config.priors else 3)
    dataset = open_data(config.data, seed=config.seed)
    print("\n".join(dataset.report))
    pictures, names = _samples(dataset.train, card, config)
    columns = math.ceil(math.sqrt(1.5 * len(pictures) * pictures[0].shape[0] / pictures[0].shape[1]))
    image.write(config.out, sheet.grid(pictures, columns, names), force=config.force)
    print(f"{len(pictures)} samples at {card.size[1]}x{card.size[0]} px, augmentation {config.augment}: look at {config.out}")
    return 0


def _samples(source: "Source", card: Card, config: Config) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """The outlined pictures and the names of the first `count` samples of a training run."""
    from portraitseg.data.augment import AugmentConfig
    from portraitseg.data.pipeline import train_batches

    augment = AugmentConfig(level=config.augment)
    batches: Any = train_batches(
        source,
        card,
        batch=config.count,
        seed=config.seed,
        epoch=0,
        augment=augment,
        prior_empty=config.prior_empty,
        composer=config.composer(source, card.size),
        limit=config.count,
    )
    batch = {name: part.numpy() for name, part in next(iter(batches)).items()}
    bytes_ = (255 * batch["mask"][..., 0]).round().astype(np.uint8)
    pictures = [_cell(x, mask, card) for x, mask in zip(batch["x"], bytes_, strict=True)]
    return pictures, [source.name(int(index)) for index in batch["index"]]


def _cell(x: NDArray[np.float32], mask: NDArray[np.uint8], card: Card) -> NDArray[np.uint8]:
    """A sample's outlined picture, and beside it the prior where there is one."""
    picture = sheet.outline(_picture(x, card), mask)
    if card.channels == 3:
        return picture
    prior = (255 * x[..., 3:]).round().astype(np.uint8)
    return np.hstack([picture, np.repeat(prior, 3, axis=2)])


def _picture(x: NDArray[np.float32], card: Card) -> NDArray[np.uint8]:
    """A net's input (h,w,C) as the RGB picture that it was made from."""
    picture = (x[..., :3] * card.input.std + card.input.mean).round().clip(0, 255).astype(np.uint8)
    return picture if card.input.order == "rgb" else np.ascontiguousarray(picture[..., ::-1])
