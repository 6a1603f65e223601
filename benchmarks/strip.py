"""The README's row of pictures: a photograph, its mask, the person cut out, and before other backgrounds, all by the bundled net."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from portraitseg import image as pictures
from portraitseg import sheet
from portraitseg.cli.defaults import MODEL
from portraitseg.cli.test import SAMPLE
from portraitseg.live.effects import Effects
from portraitseg.live.frames import Frame
from portraitseg.runtime import open_artifact

BACKGROUNDS = ("blur", "teal")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is drawn."""

    photo: Path = SAMPLE
    """The photograph."""
    model: Path = MODEL
    """The net."""
    side: int = 220
    """Height of each picture in pixels."""
    out: Path = Path(__file__).parents[1] / "docs" / "result.jpg"
    """Picture to write."""


def main() -> None:
    """Run the net on the photograph, compose, write."""
    config = tyro.cli(Config, description=__doc__)
    photo = pictures.read(config.photo)
    prob = open_artifact(config.model)(photo)
    frame = Frame(image=photo, time=0.0, index=0)
    alpha = Effects().alpha(photo, prob)
    mask = alpha[..., None].repeat(3, axis=-1)
    made = [Effects([background], clean=True)(frame, prob) for background in BACKGROUNDS]
    shown = [photo, mask, sheet.cut_out(photo, alpha / 255), *made]
    width = round(config.side * photo.shape[1] / photo.shape[0])
    row = sheet.grid([pictures.resize(picture, (config.side, width)) for picture in shown], len(shown))
    pictures.write(config.out, row, force=True)
    print(config.out)


if __name__ == "__main__":
    main()
