"""Put another background behind a person: in front of a camera, in a video, in a stream.

Without arguments the first camera is shown in a window with a blurred background. Keys in the window: C colour transfer, S seamless
clone, M smooth step, H harmonize (hold them; with Shift they stay), B next background, G background subtraction, F times, R record,
space pause, ? help, Q quit.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Literal

from portraitseg.cli.defaults import MODEL
from portraitseg.files import atomic

if TYPE_CHECKING:
    from portraitseg.live.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `portraitseg live`."""

    # Plain types, no `Path | None`: for a union of that form tyro loads typeguard, and with it asyncio and unittest, 0.1 s in all.
    source: str = "0"
    """A camera (its number, or /dev/video0), a video file, a folder of pictures, a picture, a URL (rtsp, http, rtmp, srt), or
    synthetic:1280x720@30:300, a drawn person for 300 frames."""
    model: Path = MODEL
    """An artifact of any format or a checkpoint (.h5), with its card beside it."""
    background: tuple[str, ...] = ("blur",)
    """One or more, of which B shows the next: blur, bokeh (through a lens), a colour (a name, '#rrggbb' or 'r,g,b'), a picture, a
    folder (a slideshow) or a video."""
    fit: Literal["crop", "fill", "fit"] = "crop"
    """How a background of another shape fills the frame: cut off what sticks out, stretch, or show all with a blurred border."""
    slide_seconds: float = 5.0
    """How long each picture of a folder stands."""
    sink: Literal["window", "file", "pictures", "camera", "stream", "raw", "null"] = "window"
    """Where composites go. file: .mp4, .mkv or .mov (H.264, with the source's sound), transparent: .webm (VP9) or .mov (ProRes 4444);
    pictures: a folder; camera: a virtual camera for other programs; stream: RTMP or SRT; raw: rgb24 frames on standard output."""
    out: str = ""
    """The sink's file, folder, device or URL; of a file, by default, runs/live/NAME.mp4, of pictures runs/live/NAME/."""
    crf: int = 0
    """Quality of a video file: lower is better and larger; 0 takes the codec's usual one."""
    picture_format: Literal["png", "jpg"] = "png"
    """Of the sink pictures."""
    transparent: bool = False
    """The person alone, with alpha, in place of a background; for files and pictures."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise, after what the file says of its own orientation."""
    mirror: bool = False
    """Swap left and right, as in a mirror."""
    size: str = ""
    """WIDTHxHEIGHT wished from a camera."""
    fps: float = 0.0
    """Frames a second wished from a camera; of a folder of pictures, how many are shown."""
    loop: bool = False
    """Begin again at the end of a file."""
    colour_transfer: bool = False
    """Give the person the background's colours, by their mean and spread."""
    seamless: bool = False
    """Fit the person's edge to the background, fading inwards."""
    harmonize: bool = False
    """Fit the person's colours to the background by a net."""
    harmonizer: str = ""
    """The net: another .tflite of `portraitseg harmonizer`, or an ONNX harmonizer. Default: the bundled one."""
    smooth_step: bool = True
    """Ease the ramp between background and person in and out."""
    edges: bool = True
    """Let the mask follow the frame's own edges at full size (the guided filter); otherwise it is enlarged as it is."""
    decontaminate: bool = False
    """Estimate the person's own colours at the edge, so that the old background does not shine through the hair."""
    largest: bool = False
    """Keep the largest connected part of the mask alone."""
    fill_holes: bool = False
    """Fill holes in the mask."""
    threshold: float = 0.5
    """The prob at which a pixel is half the person's."""
    feather: float = 0.8
    """Width of the ramp between background and person, in prob; 0 cuts hard."""
    soften: float = 0
    """Blur the mask: standard deviation in pixels of the frame, up to 50; 0: as sharp as it is."""
    smoothing: Literal["none", "ema", "one-euro", "hysteresis", "flow"] = "ema"
    """How masks are steadied over time: see docs/steady.md."""
    smoothing_strength: float = 0.5
    """From 0 to 1."""
    skip: int = 0
    """Frames after each one that the net sees, which get its mask."""
    subtract: Literal["", "mean", "mog2", "knn"] = ""
    """Start with background subtraction in the net's place: the camera stands still, and the first frames show the background alone."""
    threads: int = 2
    """Of the CPU, for the net and for OpenCV."""
    input_range: str = ""
    """For an artifact without a card: what 0 to 255 is scaled to, one of 0..1, -1..1, 0..255 and imagenet."""
    show_times: bool = False
    """Show frames a second, each stage's time and dropped frames in the picture, as F does."""
    report: str = ""
    """File for the run's figures as JSON; they are printed in any case."""
    resume: bool = False
    """Go on where an interrupted run with the same settings stopped; for files."""
    force: bool = False
    """Overwrite existing results."""


def run(config: Config) -> int:
    """Run until the source ends or the user has enough; 0, or 130 if a file was interrupted and waits to be resumed.

    Raises:
        InputError: something given cannot be used, or a stage failed.
    """
    from portraitseg.cli.live_session import Session

    with ExitStack() as stack:
        session = Session(config, stack)
        with _stopping_on_signals(session.pipeline) as stopped:
            times = session.pipeline.run()
    print(times.json(), file=sys.stderr if config.sink == "raw" else sys.stdout)
    if config.report:
        with atomic(Path(config.report)) as temporary:
            temporary.write_text(times.json() + "\n")
    if stopped.is_set() and session.resumable:
        print(f"interrupted after {times.frames} frames; the same command with --resume goes on from there", file=sys.stderr)
        return 130
    return 0


@contextmanager
def _stopping_on_signals(pipeline: "Pipeline") -> Iterator[Event]:
    """Ctrl-C and SIGTERM end the run in order; a second one ends it at once. Gives what tells that there was one."""
    stopped = Event()

    def stop(number: int, stack: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        pipeline.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
