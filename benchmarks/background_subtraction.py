"""IoU of background subtraction without a net on clips of a camera that stands still, and milliseconds a frame.

Each clip is made of a scene without people and a portrait that is cut out by its mask: the scene alone at first, then the person walks
in from the side, sways, and comes nearer and goes back. The camera adds noise, and the light drifts. All is seeded.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from portraitseg import image as pictures
from portraitseg.compose.blend import blend, cover
from portraitseg.device import device_name
from portraitseg.files import atomic
from portraitseg.image import Float32, UInt8, from_prob
from portraitseg.live.background_subtraction import SUBTRACTORS, subtractor

RESULTS = Path(__file__).parent / "results"
FPS = 30


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    scenes: Path
    """Folder of pictures without people."""
    portraits: Path
    """Folder with images/ and masks/."""
    clips: int = 8
    """Clips to make."""
    frames: int = 240
    """Frames of a clip, the first 30 without a person."""
    size: tuple[int, int] = (720, 1280)
    """Height and width of a frame."""
    out: Path = RESULTS / "background_subtraction.md"
    """Table to write."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A person before a scene."""

    scene: UInt8
    person: UInt8
    mask: UInt8
    seed: int
    size: tuple[int, int]
    empty: int = 30
    """Frames before the person comes."""
    noise: float = 4.0
    """Standard deviation of the camera's noise, of 255."""
    drift: float = 0.08
    """Amplitude of the light's drift, as a factor; its period is 10 seconds."""

    def frames(self, count: int) -> Iterator[tuple[UInt8, UInt8]]:
        """Frames (H,W,3) and their masks (H,W), at `FPS`."""
        random = np.random.default_rng(self.seed)
        scene, phases = cover(self.scene, self.size), random.uniform(0, 2 * np.pi, 3)
        noise = random.normal(0, self.noise, (4, *self.size, 3)).astype(np.float32)
        for index in range(count):
            image, mask = self._placed(scene, index, phases)
            light = 1 + self.drift * np.sin(2 * np.pi * index / (10 * FPS))
            shift = random.integers(0, min(self.size), 2)
            grain = np.roll(noise[random.integers(len(noise))], tuple(shift), (0, 1))
            yield np.clip(image * np.float32(light) + grain, 0, 255).astype(np.uint8), mask

    def _placed(self, scene: UInt8, index: int, phases: Float32) -> tuple[UInt8, UInt8]:
        """The person where they are at that frame, standing on the lower rim."""
        if index < self.empty:
            return scene, np.zeros(self.size, np.uint8)
        height, width = self.size
        seconds = (index - self.empty) / FPS
        sway = [np.sin(2 * np.pi * seconds * hertz + phase) for hertz, phase in zip((0.5, 0.25, 0.9), phases, strict=True)]
        scale = 0.85 * height / self.mask.shape[0] * (1 + 0.08 * sway[1])
        centre = width * (0.5 + 0.07 * sway[0] + 0.75 * max(0.0, 1 - seconds))  # walks in within a second
        left, top = centre - scale * self.mask.shape[1] / 2, height - scale * self.mask.shape[0] * (0.98 + 0.015 * sway[2])
        move = np.float32([[scale, 0, left], [0, scale, top]])
        person, mask = (cv2.warpAffine(values, move, (width, height), flags=cv2.INTER_LINEAR) for values in (self.person, self.mask))
        return blend(person, mask, scene), mask


def clips(scenes: Path, portraits: Path, count: int, size: tuple[int, int]) -> Iterator[Clip]:
    """Seeded pairs of a scene and a portrait whose person reaches the lower rim."""
    random = np.random.default_rng(0)
    behind = random.permutation(sorted(path for path in scenes.iterdir() if path.suffix.lower() in pictures.SUFFIXES))
    people = random.permutation(sorted((portraits / "masks").iterdir()))
    seed = 0
    for path in people:
        mask = pictures.read_mask(path)
        if mask[-1].mean() < 100 or mask[:, [0, -1]].mean() > 60:  # cut off by the sides, too
            continue
        person = pictures.read(portraits / "images" / f"{path.stem}.jpg")
        yield Clip(scene=pictures.read(behind[seed]), person=person, mask=mask, seed=seed, size=size)
        seed += 1
        if seed == count:
            return


@dataclass
class Score:
    """What one kind did in one clip, added up frame by frame."""

    both: int = 0
    either: int = 0
    ghosts: list[float] = field(default_factory=list)
    """Shares of the picture in % that were taken for a person before there was one."""
    times: list[float] = field(default_factory=list)
    """Milliseconds of the frames with a person."""

    def add(self, prob: Float32, mask: UInt8, milliseconds: float) -> None:
        """Count a frame: prob (h,w), mask (H,W)."""
        found, truth = from_prob(prob, mask.shape, "stretch") > 0.5, mask > 127
        if not truth.any():
            self.ghosts.append(100 * float(found.mean()))
            return
        self.both, self.either = self.both + int((found & truth).sum()), self.either + int((found | truth).sum())
        self.times.append(milliseconds)

    @property
    def iou(self) -> float:
        """Of the person in %, pooled over the frames with one."""
        return 100 * self.both / self.either


def play(clip: Clip, frames: int) -> dict[str, Score]:
    """All kinds in turn on each frame of a clip."""
    kinds = {name: subtractor(name, clip.empty - 5) for name in SUBTRACTORS}  # five frames are left to look for ghosts in
    scores = {name: Score() for name in kinds}
    for image, mask in clip.frames(frames):
        for name, find in kinds.items():
            learning, start = find.learning, time.perf_counter()
            prob = find(image)
            if not learning:
                scores[name].add(prob, mask, 1e3 * (time.perf_counter() - start))
    return scores


def main() -> None:
    """Measure, print, write."""
    config = tyro.cli(Config, description=__doc__)
    cv2.setNumThreads(2)
    made = clips(config.scenes, config.portraits, config.clips, config.size)
    played = [play(clip, config.frames) for clip in tqdm(made, total=config.clips, unit="clip")]
    with atomic(config.out) as temporary:
        temporary.write_text("\n".join(_table(config, played)) + "\n")
    print(config.out.read_text())


def _table(config: Config, played: list[dict[str, Score]]) -> Iterator[str]:
    height, width = config.size
    yield "# Background subtraction"
    yield ""
    yield f"{config.clips} clips of {config.frames} frames of {width}x{height}, drawn as the script says. IoU of the person in %, pooled"
    yield 'over a clip; "ghost" is the share of pixels, in %, that is taken for a person before there is one. Milliseconds: median of the'
    yield f"frames, the kinds in turn, 2 threads, {device_name()}. Made by"
    yield "`python benchmarks/background_subtraction.py --scenes SCENES --portraits PORTRAITS`."
    yield ""
    yield "| kind | IoU, mean of the clips | worst clip | ghost | ms |"
    yield "|---|---|---|---|---|"
    for name in SUBTRACTORS:
        scores = [kinds[name] for kinds in played]
        ious = [score.iou for score in scores]
        ghosts, times = np.concatenate([score.ghosts for score in scores]), np.concatenate([score.times for score in scores])
        yield f"| `{name}` | {np.mean(ious):.1f} | {min(ious):.1f} | {ghosts.mean():.2f} | {np.median(times):.2f} |"


if __name__ == "__main__":
    main()
