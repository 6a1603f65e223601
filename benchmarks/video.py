"""A net for stills against the same net with the frame before in a fourth channel, each with and without smoothing.

Columns as in `smoothing.py`: flicker x 1000 and dtSSD x 100, lower is steadier; IoU and IoU at moving edges in percent. The sheet shows
frames of the clip with masks side by side: picture, truth, and what each makes of it; it stays out of the repository.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from smoothing import RESULTS, Clip, Scorer, masked, talking
from tqdm import tqdm

from portraitseg import image as pictures
from portraitseg import sheet
from portraitseg.files import atomic
from portraitseg.image import Float32, UInt8, from_prob
from portraitseg.live.smoothing import smoother
from portraitseg.runtime import Video, open_artifact

KINDS = ("none", "ema")
STRENGTH = 0.5
WIDTH = 240  # of a picture in the sheet


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Artifacts with their cards; those with four channels get their own last prob."""
    video: Path
    """A video file of a person who talks to the camera."""
    masked: Path
    """A folder with images/ and masks/ of consecutive frames, 24 a second."""
    frames: int = 200
    """Frames of the video."""
    rows: int = 6
    """Frames in the sheet."""
    out: Path = RESULTS / "video.md"
    """Table to write."""
    sheet: Path = Path("runs/video.jpg")
    """Sheet to write."""


def probs_of(model: Path, clip: Clip) -> list[Float32]:
    """What the net says of each frame, at its own size, knowing the frames before where it can."""
    net = Video(open_artifact(model))
    return [net(image) for image in tqdm(clip.images, f"{model.stem}, {clip.name}", unit="frame", leave=False)]


def table(config: Config, clips: list[Clip], probs: dict[tuple[str, str], list[Float32]]) -> Iterator[str]:
    """The lines of the table."""
    yield "# The net for video"
    yield ""
    yield f"Made by `python benchmarks/video.py`, which says what the columns are. Smoothing `ema` has the strength {STRENGTH}."
    yield ""
    yield "| net | smoothing | talking: flicker | masked: flicker | dtSSD | IoU | edges |"
    yield "|---|---|---|---|---|---|---|"
    scorers = [Scorer(clip) for clip in clips]
    for model, kind in product(config.models, KINDS):
        free, known = (score(probs[model.stem, clip.name], kind, STRENGTH) for score, clip in zip(scorers, clips, strict=True))
        cells = (free["flicker"], known["flicker"], known["dtssd"], known["iou"], known["edges"])
        yield f"| `{model.stem}` | `{kind}` | {' | '.join(f'{value:.1f}' for value in cells)} |"


def draw(config: Config, clip: Clip, probs: dict[tuple[str, str], list[Float32]]) -> UInt8:
    """Frames evenly spaced, a row each."""
    cells, labels, height = [], [], round(WIDTH * clip.images[0].shape[0] / clip.images[0].shape[1])
    columns = list(product(config.models, KINDS))
    steady = {(model, kind): smoother(kind, STRENGTH) for model, kind in columns}
    shown = set(np.linspace(0, len(clip.images) - 1, config.rows).round().astype(int).tolist())
    for index, image in enumerate(clip.images):
        outs = [steady[column](probs[column[0].stem, clip.name][index], image, index / clip.fps) for column in columns]
        if index not in shown:
            continue
        small = pictures.resize(image, (height, WIDTH))
        truth = [pictures.resize(mask, (height, WIDTH)).astype(np.float32) / 255 for mask in (clip.masks or [])[index : index + 1]]
        masks = [*truth, *(from_prob(out, (height, WIDTH), "stretch") for out in outs)]
        cells += [small, *(sheet.cut_out(small, mask, sheet.GREEN) for mask in masks)]
        labels += [
            f"frame {index}",
            *["truth"] * len(truth),
            *(f"{_kind(model)}, {kind}" for model, kind in columns),
        ]
    return sheet.grid(cells, len(cells) // config.rows, labels)


def _kind(model: Path) -> str:
    return "video" if open_artifact(model).card.channels == 4 else "still"


def main() -> None:
    """Measure, print, write, draw."""
    config = tyro.cli(Config, description=__doc__)
    clips = [talking(config.video, config.frames), masked(config.masked)]
    probs = {(model.stem, clip.name): probs_of(model, clip) for model, clip in product(config.models, clips)}
    with atomic(config.out) as temporary:
        temporary.write_text("\n".join(table(config, clips, probs)) + "\n")
    print(config.out.read_text())
    pictures.write(config.sheet, draw(config, clips[1], probs), force=True)
    print(f"sheet  {config.sheet}")


if __name__ == "__main__":
    main()
