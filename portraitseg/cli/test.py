"""Cut the person out of a photo, or of every photo in a folder.

For each photo three pictures of the photo's own size are written: NAME-mask.png (8-bit soft alpha), NAME-cutout.png (RGBA) and
NAME-composite.jpg (the person before another background). Without arguments the bundled sample photo and model are used. No window
is opened.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from portraitseg import image as pictures
from portraitseg.cli.defaults import MODEL
from portraitseg.compose import blend
from portraitseg.compose.colours import allowed, find_colour
from portraitseg.errors import InputError
from portraitseg.files import refuse_existing
from portraitseg.runtime import Runtime, foreign_card, has_card, open_artifact, predict

SAMPLE = Path(__file__).parents[1] / "assets" / "astronaut.jpg"

Background = Callable[[pictures.UInt8, pictures.UInt8], pictures.UInt8]
"""(image, alpha) -> what goes behind the person: RGB (H,W,3) or one colour (3,)."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `portraitseg test`."""

    # Plain types, no `Path | None`: for a union of that form tyro loads typeguard, and with it asyncio and unittest, 0.1 s in all.
    photo: Annotated[Path, tyro.conf.Positional] = SAMPLE
    """A photo or a folder of photos (not searched in depth)."""
    model: Path = MODEL
    """An artifact of any format or a checkpoint (.h5), with its card beside it: .tflite, .onnx, .xml (OpenVINO), .pb, a SavedModel;
    or a bundle (.zip)."""
    background: str = "white"
    """What stands behind the person in the composite: a colour (a name, '#rrggbb' or 'r,g,b'), "blur" (the photo's own background,
    blurred) or a picture, cropped to cover the photo; a picture that is named like a colour is given as ./red."""
    out: Path = Path("runs/test")
    """Folder for the results."""
    threads: int = 2
    """Of the CPU, for the net itself."""
    input_range: str = ""
    """For an artifact without a card: what 0 to 255 is scaled to, one of 0..1, -1..1, 0..255 and imagenet."""
    engine: str = ""
    """Run the file by another library than its suffix says: mediapipe, for a .tflite of `export.py --format mediapipe`."""
    weight_cache: str = ""
    """For a .tflite: a folder where XNNPACK keeps packed weights, so that later starts need not pack them again."""
    force: bool = False
    """Overwrite existing results."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A photo and the files that are made of it."""

    photo: Path
    mask: Path
    cut_out: Path
    composite: Path


def run(config: Config) -> int:
    """Process one photo or a folder; 0 if at least one photo could be read, else 2."""
    if not config.model.exists():
        raise InputError(f"no model {config.model}; give one with --model FILE.tflite (`portraitseg export` makes them)")
    jobs = _jobs(_photos(config.photo), config.out, force=config.force)
    background = _background(config.background)
    foreign = config.input_range and not has_card(config.model)
    card = foreign_card(config.model, input_range=config.input_range) if foreign else None
    cache = Path(config.weight_cache) if config.weight_cache else None
    runtime = open_artifact(config.model, threads=config.threads, card=card, engine=config.engine or None, weight_cache=cache)
    if config.photo.is_dir():
        return _run_folder(jobs, runtime, background, config.out)
    job = jobs[0]
    _process(job, pictures.read(job.photo), runtime, background)
    print(f"mask       {job.mask}\ncut-out    {job.cut_out}\ncomposite  {job.composite}")
    return 0


def _run_folder(jobs: list[Job], runtime: Runtime, background: Background, out: Path) -> int:
    """Process photo after photo with a progress bar; those that cannot be read are warned of and left out."""
    from tqdm import tqdm

    done = 0
    for job in tqdm(jobs, unit="photo"):
        try:
            image = pictures.read(job.photo)
        except InputError as error:  # only reading is forgiven: a full disk stops the run
            tqdm.write(f"warning: skipped: {error}", file=sys.stderr)
            continue
        _process(job, image, runtime, background)
        done += 1
    print(f"{done} of {len(jobs)} photos -> {out}; {len(jobs) - done} skipped")
    return 0 if done else 2


def _process(job: Job, image: pictures.UInt8, runtime: Runtime, background: Background) -> None:
    """Write the three pictures, in the order that keeps the fewest large arrays at once: a photo of 100 megapixels has to pass."""
    alpha = blend.soft_alpha(predict(runtime, image))
    pictures.write(job.mask, alpha, force=True)
    pictures.write(job.composite, blend.blend(image, alpha, background(image, alpha)), force=True)
    cut_out = blend.cut_out(image, alpha)
    del image
    pictures.write(job.cut_out, cut_out, force=True)


def _jobs(photos: list[Path], out: Path, *, force: bool) -> list[Job]:
    """One job a photo; refuse now if any result exists, so that a long run does not stop half-way.

    Raises:
        InputError: a result exists and `force` is not set.
    """
    stems = Counter(photo.stem for photo in photos)
    jobs = []
    for photo in photos:
        # a.jpg and a.png in one folder must not overwrite each other's results
        name = photo.stem if stems[photo.stem] == 1 else photo.name.replace(".", "_")
        mask, cut_out, composite = (out / f"{name}-{suffix}" for suffix in ("mask.png", "cutout.png", "composite.jpg"))
        for path in (mask, cut_out, composite):
            refuse_existing(path, force=force)
        jobs.append(Job(photo=photo, mask=mask, cut_out=cut_out, composite=composite))
    return jobs


def _photos(path: Path) -> list[Path]:
    """The photo itself, or the pictures of a folder in order of name.

    Raises:
        InputError: nothing there.
    """
    if not path.exists():
        raise InputError(f"no photo or folder {path}; give an existing one")
    if not path.is_dir():
        return [path]
    photos = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in pictures.SUFFIXES and entry.is_file())
    if not photos:
        raise InputError(f"no photos in {path}; allowed are files that end in {', '.join(sorted(pictures.SUFFIXES))}")
    return photos


def _background(text: str) -> Background:
    """Understand --background.

    Raises:
        InputError: neither "blur" nor a colour nor a picture.
    """
    if text == "blur":
        return blend.blur_background
    colour = find_colour(text)
    if colour is not None:
        return lambda image, alpha: np.array(colour, np.uint8)
    if not Path(text).is_file():
        raise InputError(f"--background {text!r} is no colour that we know and no picture file; give blur, a picture, {allowed()}")
    picture = pictures.read(Path(text))
    return lambda image, alpha: blend.cover(picture, alpha.shape)
