"""What each kind of smoothing steadies, what it costs at moving edges, and milliseconds a frame.

Clips: a video without masks; a folder with images/ and masks/; and people who are moved before a scene that stands still, as
`background_subtraction.py` draws them. Probs: of two nets, and of no net at all: the true mask, softened, with smooth noise that is new in
each frame and strongest at the edge.

"Edges" is the IoU of the person where they move: within a pixel (of 320 across) of where the mask changed since the frame before.
"""

import csv
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import pairwise, product
from pathlib import Path

import cv2
import numpy as np
import tyro
from background_subtraction import FPS, clips
from tqdm import tqdm

from portraitseg import image as pictures
from portraitseg.device import device_name
from portraitseg.files import atomic
from portraitseg.image import Float32, UInt8, from_prob
from portraitseg.live.smoothing import SMOOTHERS, smoother
from portraitseg.metrics import dtssd
from portraitseg.metrics.video import THOUSAND, WIDTH, motion
from portraitseg.runtime import Runtime, foreign_card, open_artifact

RESULTS = Path(__file__).parent / "results"
NET = (256, 256)  # size of the probs that no net made
NOISE = "true mask with noise"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    model: Path
    """A net of ours."""
    peer: Path
    """A net of another project, which takes 0 to 1."""
    video: Path
    """A video file of a person who talks to the camera."""
    masked: Path
    """A folder with images/ and masks/ of consecutive frames, 24 a second."""
    scenes: Path
    """A folder of pictures without people."""
    portraits: Path
    """A folder with images/ and masks/ of people to be cut out."""
    frames: int = 200
    """Frames of the video."""
    drawn: int = 4
    """Drawn clips."""
    strengths: tuple[float, ...] = (0.25, 0.5, 1.0)
    """Of each kind."""
    out: Path = RESULTS / "smoothing.md"
    """Table to write; the numbers go beside it as .csv."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Consecutive frames (H,W,3), and their masks (H,W) if there are."""

    name: str
    images: list[UInt8]
    masks: list[UInt8] | None
    fps: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One kind at one strength, of the probs of one net on clips of one name."""

    clip: str
    net: str
    kind: str
    strength: float
    flicker: float
    dtssd: float | None
    iou: float | None
    edges: float | None


def load(config: Config) -> Iterator[Clip]:
    """All clips; those that are drawn have one name."""
    yield talking(config.video, config.frames)
    yield masked(config.masked)
    for drawn in clips(config.scenes, config.portraits, config.drawn, (360, 640)):
        images, masks = zip(*list(drawn.frames(120))[drawn.empty - 2 :], strict=True)
        yield Clip(name="drawn", images=list(images), masks=list(masks), fps=FPS)


def talking(path: Path, frames: int) -> Clip:
    """The first frames of a video file."""
    capture = cv2.VideoCapture(str(path))
    images = [cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB) for _ in range(frames)]
    return Clip(name="talking", images=images, masks=None, fps=capture.get(cv2.CAP_PROP_FPS))


def masked(path: Path) -> Clip:
    """A folder of frames with masks."""
    paths = sorted((path / "images").iterdir())
    masks = [pictures.read_mask(path / "masks" / f"{image.stem}.png") for image in paths]
    return Clip(name=path.name, images=[pictures.read(image) for image in paths], masks=masks, fps=24)


def noisy(clip: Clip, seed: int = 0) -> list[Float32]:
    """Probs from the masks alone."""
    random, probs = np.random.default_rng(seed), []
    for mask in clip.masks or []:
        prob = cv2.GaussianBlur(pictures.resize(mask, NET).astype(np.float32) / 255, (0, 0), 1.5)
        noise = cv2.GaussianBlur(random.normal(0, 1, NET).astype(np.float32), (0, 0), 4)
        probs.append(np.clip(prob + noise / noise.std() * (0.03 + prob * (1 - prob)), 0, 1))
    return probs


class Scorer:
    """Scores probs of a clip at a width of `WIDTH`; the motion, which is the same for all of them, is looked for once."""

    def __init__(self, clip: Clip) -> None:
        self._clip, self._size = clip, (round(WIDTH * clip.images[0].shape[0] / clip.images[0].shape[1]), WIDTH)
        self._motion = [motion(*pair) for pair in pairwise(pictures.resize(image, self._size) for image in clip.images)]
        self._alphas = [pictures.resize(mask, self._size).astype(np.float32) / 255 for mask in clip.masks or []]

    def __call__(self, probs: list[Float32], kind: str, strength: float) -> dict[str, float | None]:
        """The measures, each the mean over the pairs of frames; IoU pooled."""
        steady, clip = smoother(kind, strength), self._clip
        outs = [steady(prob, image, index / clip.fps) for index, (prob, image) in enumerate(zip(probs, clip.images, strict=True))]
        outs = [from_prob(out, self._size, "stretch") for out in outs]
        row = {"flicker": self._flicker(outs), "dtssd": None, "iou": None, "edges": None}
        return row if clip.masks is None else {**row, **self._against_masks(outs)}

    def _flicker(self, outs: list[Float32]) -> float:
        """As `portraitseg.metrics.flicker`."""
        changes = []
        for (last, out), (source, known) in zip(pairwise(outs), self._motion, strict=True):
            if known.any():
                changes.append(np.abs(out - cv2.remap(last, source, None, cv2.INTER_LINEAR))[known].mean())
        return THOUSAND * float(np.mean(changes))

    def _against_masks(self, outs: list[Float32]) -> dict[str, float]:
        jumps = [dtssd(*probs, *alphas) for probs, alphas in zip(pairwise(outs), pairwise(self._alphas), strict=True)]
        found, truth = np.stack(outs) > 0.5, np.stack(self._alphas) > 0.5
        moved = np.stack([cv2.dilate(np.uint8(now != last), np.ones((3, 3), np.uint8)) > 0 for last, now in pairwise(truth)])
        return {"dtssd": float(np.mean(jumps)), "iou": _iou(found, truth), "edges": _iou(found[1:][moved], truth[1:][moved])}


def _iou(found: np.ndarray, truth: np.ndarray) -> float:
    return 100 * float((found & truth).sum() / max((found | truth).sum(), 1))


def measure(config: Config, loaded: list[Clip], nets: dict[str, Runtime]) -> Iterator[Row]:
    """All rows; of clips of one name the mean."""
    settings = [("none", 0.0), *((kind, strength) for kind in SMOOTHERS if kind != "none" for strength in config.strengths)]
    scores: dict[tuple[str, str, str, float], list[dict[str, float | None]]] = {}
    for clip in tqdm(loaded, unit="clip"):
        score = Scorer(clip)
        probs = {net: [run(image) for image in clip.images] for net, run in nets.items()}
        probs |= {NOISE: noisy(clip)} if clip.masks else {}
        for net, setting in product(probs, settings):
            scores.setdefault((clip.name, net, *setting), []).append(score(probs[net], *setting))
    for (name, net, kind, strength), found in scores.items():
        means = {key: None if found[0][key] is None else float(np.mean([row[key] for row in found])) for key in found[0]}
        yield Row(clip=name, net=net, kind=kind, strength=strength, **means)


def milliseconds(images: list[UInt8], net: Runtime, runs: int = 300) -> dict[str, float]:
    """Of each kind, on frames of 1280x720: medians of runs in turn."""
    frames = [pictures.resize(image, (720, 1280)) for image in images[:20]]
    frames += frames[-2:0:-1]  # there and back again, without a cut
    probs = [net(frame) for frame in frames]
    kinds = {kind: smoother(kind) for kind in SMOOTHERS if kind != "none"}
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for index in range(runs):
        prob, frame = probs[index % len(probs)], frames[index % len(frames)]
        for kind, steady in kinds.items():
            start = time.perf_counter()
            steady(prob, frame, index / FPS)
            times[kind].append(1e3 * (time.perf_counter() - start))
    return {kind: float(np.median(values[10:])) for kind, values in times.items()}


def main() -> None:
    """Measure, print, write."""
    config = tyro.cli(Config, description=__doc__)
    cv2.setNumThreads(2)
    peer = open_artifact(config.peer, card=foreign_card(config.peer, input_range="0..1"))
    nets: dict[str, Runtime] = {config.model.stem: open_artifact(config.model), config.peer.stem: peer}
    loaded = list(load(config))
    took = milliseconds(loaded[0].images, nets[config.model.stem])
    rows = list(measure(config, loaded, nets))
    with atomic(config.out.with_suffix(".csv")) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(row).items()} for row in rows
        )
    with atomic(config.out) as temporary:
        temporary.write_text("\n".join(_table(rows, took)) + "\n")
    print(config.out.read_text())


def _table(rows: list[Row], took: dict[str, float]) -> Iterator[str]:
    yield "# Smoothing in time"
    yield ""
    yield "Made by `python benchmarks/smoothing.py`, which says what the clips and columns are. Flicker x 1000 and dtSSD x 100: lower is"
    yield "steadier. IoU and edges in %: higher is better."
    yield ""
    yield f"Milliseconds a frame of 1280x720, a prob of 256x256, 2 threads, {device_name()}:"
    yield f"{', '.join(f'`{kind}` {value:.2f}' for kind, value in took.items())}."
    for clip, net in dict.fromkeys((row.clip, row.net) for row in rows):
        yield f"\n## {clip}: {net}\n"
        yield "| kind | strength | flicker | dtSSD | IoU | edges |"
        yield "|---|---|---|---|---|---|"
        for row in rows:
            if (row.clip, row.net) == (clip, net):
                cells = [f"{value:.1f}" if value is not None else "" for value in (row.flicker, row.dtssd, row.iou, row.edges)]
                yield f"| `{row.kind}` | {row.strength or ''} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
