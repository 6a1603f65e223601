"""Write the synthetic set as files: DIR/train and DIR/val, each with images/ and masks/. Put your own pictures in its place."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from portraitseg import image
from portraitseg.data.synthetic import Synthetic


@dataclass(frozen=True, kw_only=True)
class Config:
    """How many pictures to draw."""

    train: int
    """Pictures to train on."""
    val: int
    """Pictures to validate on."""
    size: int
    """Their side in pixels."""
    seed: int
    """Other seeds draw other portraits."""
    out: Path = Path("data")
    """Folder to write to."""


def main(config: Config) -> None:
    """Draw and write both parts."""
    for number, (part, count) in enumerate({"train": config.train, "val": config.val}.items()):
        portraits = Synthetic(count, seed=2 * config.seed + number, size=config.size)
        for index in tqdm(range(count), desc=part):
            picture, mask = portraits.load(index)
            image.write(config.out / part / "images" / f"{part}-{index:04d}.png", picture, force=True)
            image.write(config.out / part / "masks" / f"{part}-{index:04d}.png", mask, force=True)


if __name__ == "__main__":
    main(tyro.cli(Config))
