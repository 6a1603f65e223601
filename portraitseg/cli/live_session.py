"""What `portraitseg live` puts together of its settings."""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live import overlay
from portraitseg.live.background_subtraction import subtractor
from portraitseg.live.controls import HELP, Controls, sliders
from portraitseg.live.desk import Desk
from portraitseg.live.effects import Effects
from portraitseg.live.frames import Frame, Position, Sink, Source
from portraitseg.live.look import Look
from portraitseg.live.pipeline import Pipeline
from portraitseg.live.recorder import Recorder
from portraitseg.live.segmenter import Segmenter
from portraitseg.live.sinks import open_sink
from portraitseg.live.sinks.window import Window
from portraitseg.live.smoothing import smoother
from portraitseg.live.sources import open_source
from portraitseg.runtime import Runtime, foreign_card, has_card, open_artifact

if TYPE_CHECKING:
    from portraitseg.cli.live import Config

RUNS = Path("runs/live")


class Session:
    """The stages that the settings ask for, opened."""

    def __init__(self, config: "Config", stack: ExitStack) -> None:
        """Open everything.

        Args:
            config: the settings.
            stack: closes at the end what is opened here.

        Raises:
            InputError: a setting cannot be used, or something is missing on this machine.
            ImportError: a package is not installed.
        """
        cv2.setNumThreads(config.threads)
        self._config, self._stack = config, stack
        self.look = _look(config)
        runtime = _runtime(config)
        effects = self._effects()
        source, sink = self._ends()
        smoothing = smoother(config.smoothing, config.smoothing_strength)
        segmenter = Segmenter(runtime, look=self.look, smoothing=smoothing, subtraction=subtractor(config.subtract or "mean"))
        self._segmenter = segmenter
        self.resumable = not source.live and config.sink in ("file", "pictures")
        """Interrupted, the run can go on later."""
        bar = self._progress(source, sink.done)
        self.pipeline = Pipeline(source, segmenter, effects, self._with_desk(sink, source), each=bar)

    def _effects(self) -> Effects:
        config = self._config
        effects = Effects(
            config.background,
            look=self.look,
            edges=config.edges,
            fit=config.fit,
            slide_seconds=config.slide_seconds,
            harmonizer=Path(config.harmonizer) if config.harmonizer else None,
            threads=config.threads,
            clean=config.decontaminate,
            largest=config.largest,
            holes=config.fill_holes,
            transparent=config.transparent,
        )
        self._stack.callback(effects.close)
        return effects

    def _ends(self) -> tuple[Source, Sink]:
        """The source and the sink; where an earlier run is resumed, the source begins behind it."""
        source = self._source(None)
        sink = self._sink(source)
        if sink.done is not None:
            source.close()
            source = self._source(sink.done)
        return source, sink

    def _source(self, after: Position | None) -> Source:
        config = self._config
        size = parse_size(config.size)
        source = open_source(
            config.source,
            rotate=config.rotate,
            mirror=config.mirror,
            size=size,
            fps=config.fps or None,
            loop=config.loop,
            after=after,
            notice=_tell,
        )
        self._stack.callback(source.close)
        return source

    def _sink(self, source: Source) -> Sink:
        config = self._config
        sink = open_sink(
            config.sink,
            config.out or _default_out(config),
            fps=source.fps,
            live=source.live,
            source=_video(config.source),
            transparent=config.transparent,
            force=config.force,
            resume=config.resume,
            crf=config.crf or None,
            picture_format=config.picture_format,
            notice=_tell,
        )
        self._stack.callback(sink.close)
        return sink

    def _with_desk(self, sink: Sink, source: Source) -> Sink:
        """A window with its keys; any other sink with the times on its pictures, if they are asked for."""
        if not isinstance(sink, Window):
            return _Titled(sink, self._overlay) if self.look.show_times else sink
        recorder = Recorder(lambda: self._recording(source), _tell)
        controls = Controls(
            look=self.look, record=recorder.toggle, quit=lambda: self.pipeline.stop(), subtract=self._segmenter.subtraction.relearn
        )
        return Desk(
            sink,
            controls,
            recorder,
            sliders=sliders(len(self._config.background)),
            overlay=lambda image: self._overlay(image, recording=recorder.on),
            paced=not source.live,
            stopped=lambda: self.pipeline.stopped,
        )

    def _recording(self, source: Source) -> Sink:
        out = RUNS / time.strftime("%Y%m%d-%H%M%S.mp4")
        _tell(f"recording to {out}; R again ends it")
        return open_sink("file", str(out), fps=source.fps, live=True)

    def _overlay(self, image: UInt8, *, recording: bool = False) -> UInt8:
        """A copy with text on it, if there is any to show."""
        lines = [*(["REC"] if recording else []), *(overlay.times(self.pipeline.times) if self.look.show_times else [])]
        lines += HELP.splitlines() if self.look.show_help else []
        if not lines:
            return image
        out = image.copy()
        overlay.draw(out, lines)
        return out

    def _progress(self, source: Source, done: Position | None) -> Callable[[Frame], object]:
        """A bar for what has an end, and is not looked at while it plays."""
        if source.live or self._config.loop or self._config.sink in ("window", "raw"):
            return lambda frame: None
        from tqdm import tqdm

        bar = self._stack.enter_context(tqdm(total=source.count, unit="frame", initial=done.index + 1 if done else 0))
        return lambda frame: bar.update()


class _Titled:
    """A sink whose pictures get a text."""

    def __init__(self, sink: Sink, title: Callable[[UInt8], UInt8]) -> None:
        self._sink, self._title = sink, title
        self.done, self.finish, self.close = sink.done, sink.finish, sink.close

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`."""
        self._sink.write(frame, self._title(image))


def _tell(line: str) -> None:
    """A notice, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"notice: {line}", file=sys.stderr)


def _look(config: "Config") -> Look:
    return Look(
        threshold=config.threshold,
        feather=config.feather,
        soften=config.soften,
        smoothing=config.smoothing_strength,
        skip=config.skip,
        smooth_step=config.smooth_step,
        colour_transfer=config.colour_transfer,
        seamless=config.seamless,
        harmonize=config.harmonize,
        subtract=bool(config.subtract),
        show_times=config.show_times,
    )


def _runtime(config: "Config") -> Runtime:
    if not config.model.exists():
        raise InputError(f"no model {config.model}; give one with --model FILE.tflite (`portraitseg export` makes them)")
    foreign = config.input_range and not has_card(config.model)
    card = foreign_card(config.model, input_range=config.input_range) if foreign else None
    return open_artifact(config.model, threads=config.threads, card=card)


def parse_size(text: str) -> tuple[int, int] | None:
    """Understand WIDTHxHEIGHT; empty: None.

    Raises:
        InputError: it is not WIDTHxHEIGHT.
    """
    if not text:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise InputError(f"size must be WIDTHxHEIGHT, such as 1280x720, got {text!r}")
    return int(width), int(height)


def _video(source: str) -> Path | None:
    """The file whose sound is kept."""
    path = Path(source)
    return path if path.is_file() else None


def _default_out(config: "Config") -> str | None:
    """Where a file or pictures go if nothing is said."""
    name = Path(config.source).stem if Path(config.source).exists() and not config.source.isdecimal() else "live"
    if config.sink == "file":
        return str(RUNS / f"{name}{'.webm' if config.transparent else '.mp4'}")
    return str(RUNS / name) if config.sink == "pictures" else None
