"""Measure the live pipeline: milliseconds a frame for the model and for everything around it, and frames a second.

Frames in memory become composites in memory. "model" is the net alone; "rest" is all else, from the frame to the composite: shrinking,
smoothing, the mask at full size, the composite. FPS is that of the pipeline, whose stages overlap: "inference" is its time from frame to
steady mask, "compose" from mask to composite. The rows take turns, because the speed of a shared machine drifts. Where MediaPipe is
installed (in an environment of its own, docs/mediapipe.md), its ImageSegmenter runs the same models beside, with the composite of its
guide, in NumPy.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from portraitseg import image as pictures
from portraitseg.cli.defaults import MODEL
from portraitseg.cli.live_session import parse_size
from portraitseg.cli.test import SAMPLE
from portraitseg.device import device_name
from portraitseg.errors import InputError
from portraitseg.export.mediapipe import with_metadata
from portraitseg.image import Array
from portraitseg.live.effects import Effects
from portraitseg.live.frames import Frame
from portraitseg.live.look import Look
from portraitseg.live.pipeline import Pipeline
from portraitseg.live.segmenter import Segmenter
from portraitseg.live.sinks import open_sink
from portraitseg.live.smoothing import smoother
from portraitseg.runtime import Artifact, cards, foreign_card, has_card, open_artifact

ROUNDS = 5
WARMUPS = 10
DISTINCT = 24
"""Frames that differ, shown again and again."""
MEDIAPIPE_SURE = 0.2
"""Above this confidence the documented composite shows the person."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `portraitseg benchmark live`."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional] = (MODEL,)
    """Artifacts, each with its card beside it."""
    size: str = "1280x720"
    """WIDTHxHEIGHT of the frames."""
    frames: int = 300
    """Measured frames of each row, all rounds together."""
    threads: int = 2
    """Of the CPU, for the net and for OpenCV."""
    background: str = "navy"
    """See `portraitseg live`."""
    input_range: str = ""
    """For artifacts without a card: what 0 to 255 is scaled to, one of 0..1, -1..1, 0..255 and imagenet."""


@dataclass(kw_only=True)
class Row:
    """One way to make composites."""

    name: str
    work: Callable[[Frame], tuple[float, float]]
    """A frame -> ms of the model and of the rest."""
    whole: Callable[[list[Frame]], tuple[float, dict[str, tuple[float, float]]]]
    """Frames -> frames a second, and each stage's p50 and p90 in ms where stages overlap."""
    model: list[float]
    rest: list[float]
    fps: list[float]
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None


class _Timed:
    """An engine that tells how long its last call took."""

    def __init__(self, engine: Any) -> None:
        self._engine, self.inputs, self.outputs = engine, engine.inputs, engine.outputs
        self.ms = 0.0

    def __call__(self, x: Array, output: int) -> Array:
        start = time.perf_counter()
        out: Array = self._engine(x, output)
        self.ms = 1e3 * (time.perf_counter() - start)
        return out


class _Memory:
    """A source of frames in memory."""

    live, fps = False, 30.0

    def __init__(self, frames: list[Frame]) -> None:
        self._frames, self.count = frames, len(frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def close(self) -> None:
        """Nothing to free."""


def run(config: Config) -> int:
    """Measure and print.

    Raises:
        InputError: a setting or a model cannot be used.
    """
    if min(config.frames, config.threads) < 1:
        raise InputError(f"frames and threads must be at least 1, got {config.frames} and {config.threads}")
    cv2.setNumThreads(config.threads)
    frames = list(_frames(parse_size(config.size) or (1280, 720)))
    rows = [row for model in config.models for row in _ours(model, config)]
    if importlib.util.find_spec("mediapipe"):
        rows += [_mediapipe(model, config) for model in config.models]
    _measure(rows, frames, config.frames)
    for row in rows:
        row.close()
    print(f"{device_name()}, {config.threads} threads, {config.size} frames, {config.frames} of each, background {config.background}\n")
    print(f"{'ms, p50 and p90':<70}{'model':>14}{'rest':>14}{'whole':>14}{'inference':>14}{'compose':>14}{'FPS':>6}")
    for row in rows:
        times = [np.percentile(ms, (50, 90)).tolist() for ms in (row.model, row.rest, np.add(row.model, row.rest))]
        columns = [*times, row.stages.get("inference"), row.stages.get("compose")]
        print(f"{row.name:<70}{''.join(map(_ends, columns))}{float(np.median(row.fps)):>6.0f}")
    return 0


def _measure(rows: list[Row], frames: list[Frame], count: int) -> None:
    """Let the rows take turns."""
    with tqdm(total=ROUNDS * len(rows), unit="turn", leave=False) as bar:
        for row in ROUNDS * rows:
            shown = [frames[number % len(frames)] for number in range(WARMUPS + max(1, count // ROUNDS))]
            shown = [Frame(image=frame.image, time=number / 30, index=number) for number, frame in enumerate(shown)]
            times = [row.work(frame) for frame in shown][WARMUPS:]
            row.model += [model for model, _ in times]
            row.rest += [rest for _, rest in times]
            fps, row.stages = row.whole(shown)
            row.fps.append(fps)
            bar.update()


def _ours(path: Path, config: Config) -> Iterator[Row]:
    """Plain replacement, and with edges refined and masks smoothed."""
    card = foreign_card(path, input_range=config.input_range) if config.input_range and not has_card(path) else None
    for name, edges, smoothing in (("plain", False, "none"), ("edges and smoothing", True, "ema")):
        artifact = open_artifact(path, threads=config.threads, card=card)
        yield _row(f"{path.stem}, {name}", artifact, edges, smoothing, config)


def _row(name: str, artifact: Artifact, edges: bool, smoothing: str, config: Config) -> Row:
    look = Look()
    timed = artifact.engine = _Timed(artifact.engine)
    segmenter = Segmenter(artifact, look=look, smoothing=smoother(smoothing))
    effects = Effects([config.background], look=look, edges=edges)

    def work(frame: Frame) -> tuple[float, float]:
        start = time.perf_counter()
        effects(frame, segmenter(frame))
        return timed.ms, 1e3 * (time.perf_counter() - start) - timed.ms

    def whole(frames: list[Frame]) -> tuple[float, dict[str, tuple[float, float]]]:
        times = Pipeline(_Memory(frames), segmenter, effects, open_sink("null", fps=30)).run()
        return times.fps, times.percentiles()

    return Row(name=name, work=work, whole=whole, model=[], rest=[], fps=[])


def _mediapipe(path: Path, config: Config) -> Row:
    """ImageSegmenter in its video mode, and the composite of MediaPipe's example: np.where on a stacked mask."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    content = path.read_bytes()
    card = cards.find(path) or foreign_card(path, input_range=config.input_range)
    content = with_metadata(content, card)  # MediaPipe asks for the normalisation of its input
    base = BaseOptions(model_asset_buffer=content)
    options = vision.ImageSegmenterOptions(base_options=base, output_confidence_masks=True, running_mode=vision.RunningMode.VIDEO)
    segmenter = vision.ImageSegmenter.create_from_options(options)
    colour = Effects([config.background])
    stamp = iter(range(0, 10**9, 33))

    def work(frame: Frame) -> tuple[float, float]:
        start = time.perf_counter()
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=frame.image)
        mask = segmenter.segment_for_video(picture, next(stamp)).confidence_masks[-1].numpy_view().reshape(frame.image.shape[:2])
        middle = time.perf_counter()
        behind = colour.background(frame)
        np.where(np.stack((mask,) * 3, axis=-1) > MEDIAPIPE_SURE, frame.image, behind)
        return 1e3 * (middle - start), 1e3 * (time.perf_counter() - middle)

    def whole(frames: list[Frame]) -> tuple[float, dict[str, tuple[float, float]]]:
        start = time.perf_counter()
        for frame in frames:
            work(frame)
        return len(frames) / (time.perf_counter() - start), {}

    return Row(name=f"MediaPipe, {path.stem}", work=work, whole=whole, model=[], rest=[], fps=[], close=segmenter.close)


def _frames(size: tuple[int, int]) -> Iterator[Frame]:
    """The bundled portrait, which moves a little from one to the next."""
    width, height = size
    portrait = pictures.read(SAMPLE)
    scale = max(width / portrait.shape[1], height / portrait.shape[0])
    for number in range(DISTINCT):
        shift = 0.01 * width * np.sin(2 * np.pi * number / DISTINCT)
        turn = np.array([[scale, 0, shift], [0, scale, 0]], np.float32)
        image = np.asarray(cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
        yield Frame(image=image, time=number / 30, index=number)


def _ends(ends: Sequence[float] | None) -> str:
    return f"{'':>14}" if ends is None else f"{ends[0]:>8.2f}{ends[1]:>6.2f}"
