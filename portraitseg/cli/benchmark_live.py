"""Measure the live pipeline: milliseconds a frame for the model and for everything around it, and frames a second.

Frames in memory become composites in memory. "model" is the net alone; "rest" is all else, from the frame to the composite: shrinking,
smoothing, the mask at full size, the composite. FPS is that of the pipeline, whose stages overlap. The rows take turns, because the
speed of a shared machine drifts. With --mediapipe, MediaPipe's ImageSegmenter runs its own models beside, with the composite of its
documentation, in NumPy; it needs an environment of its own (docs/mediapipe.md).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro

from portraitseg import image as pictures
from portraitseg.benchmark import device_name
from portraitseg.cli.defaults import MODEL
from portraitseg.cli.live_session import parse_size
from portraitseg.cli.test import SAMPLE
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
from portraitseg.runtime import Artifact, foreign_card, has_card, open_artifact

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
    mediapipe: tuple[Path, ...] = ()
    """Models (.tflite) to be run by MediaPipe; to those without metadata it is told --input-range."""


@dataclass(kw_only=True)
class Row:
    """One way to make composites."""

    name: str
    work: Callable[[Frame], tuple[float, float]]
    """A frame -> ms of the model and of the rest."""
    whole: Callable[[list[Frame]], float]
    """Frames -> frames a second."""
    model: list[float]
    rest: list[float]
    fps: list[float]
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
        ImportError: MediaPipe is to run, and is not installed.
    """
    if min(config.frames, config.threads) < 1:
        raise InputError(f"frames and threads must be at least 1, got {config.frames} and {config.threads}")
    cv2.setNumThreads(config.threads)
    frames = list(_frames(parse_size(config.size) or (1280, 720)))
    rows = [row for model in config.models for row in _ours(model, config)] + [_mediapipe(model, config) for model in config.mediapipe]
    _measure(rows, frames, config.frames)
    for row in rows:
        row.close()
    print(f"{device_name()}, {config.threads} threads, {config.size} frames, {config.frames} of each, background {config.background}\n")
    print(f"{'':<56}{'model ms':>20}{'rest ms':>20}{'whole ms':>10}{'FPS':>8}\n{'':<56}{'p50   p90':>20}{'p50   p90':>20}{'p50':>10}")
    for row in rows:
        whole = float(np.median(np.add(row.model, row.rest)))
        print(f"{row.name:<56}{_ends(row.model):>20}{_ends(row.rest):>20}{whole:>10.2f}{float(np.median(row.fps)):>8.0f}")
    return 0


def _measure(rows: list[Row], frames: list[Frame], count: int) -> None:
    """Let the rows take turns."""
    for _ in range(ROUNDS):
        for row in rows:
            shown = [frames[number % len(frames)] for number in range(WARMUPS + max(1, count // ROUNDS))]
            shown = [Frame(image=frame.image, time=number / 30, index=number) for number, frame in enumerate(shown)]
            times = [row.work(frame) for frame in shown][WARMUPS:]
            row.model += [model for model, _ in times]
            row.rest += [rest for _, rest in times]
            row.fps.append(row.whole(shown))


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

    def whole(frames: list[Frame]) -> float:
        times = Pipeline(_Memory(frames), segmenter, effects, open_sink("null", fps=30)).run()
        return times.fps

    return Row(name=name, work=work, whole=whole, model=[], rest=[], fps=[])


def _mediapipe(path: Path, config: Config) -> Row:
    """ImageSegmenter in its video mode, and the composite of MediaPipe's example: np.where on a stacked mask."""
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    except ModuleNotFoundError as error:
        raise ImportError(f'this needs the Python package "{error.name}", in an environment of its own: see docs/mediapipe.md') from error
    content = path.read_bytes()
    if config.input_range and not has_card(path):
        content = with_metadata(content, foreign_card(path, input_range=config.input_range))
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

    def whole(frames: list[Frame]) -> float:
        start = time.perf_counter()
        for frame in frames:
            work(frame)
        return len(frames) / (time.perf_counter() - start)

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


def _ends(times: list[float]) -> str:
    return "{:.2f}  {:.2f}".format(*np.percentile(times, (50, 90)))
