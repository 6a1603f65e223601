"""Where composites go: a window, a video file, pictures, a virtual camera, a server, standard output."""

from pathlib import Path

from portraitseg.errors import InputError
from portraitseg.live.frames import Sink
from portraitseg.live.notices import Notice, to_stderr
from portraitseg.live.sinks.encoder import recipe
from portraitseg.live.sinks.null import Null
from portraitseg.live.sinks.pictures import PictureFolder
from portraitseg.live.sinks.push import Push
from portraitseg.live.sinks.raw import Raw
from portraitseg.live.sinks.video import VideoFile
from portraitseg.live.sinks.virtual_camera import VirtualCamera
from portraitseg.live.sinks.window import Window

KINDS = {
    "window": "a window on the screen",
    "file": "a video file: .mp4, .mkv, .mov (H.264), .webm (VP9); transparent: .webm (VP9), .mov (ProRes 4444)",
    "pictures": "a folder of numbered pictures and a table of their times",
    "camera": "a virtual camera that other programs open; out: its device, or nothing",
    "stream": "an RTMP or SRT server; out: its URL",
    "raw": "raw RGB (transparent: RGBA) frames on standard output",
    "null": "nowhere; frames are counted",
}
TRANSPARENT = ("file", "pictures", "raw", "null")
FPS = 30.0
"""For what needs a number, where the source has none."""


def open_sink(
    kind: str,
    out: str | None = None,
    *,
    fps: float,
    live: bool = False,
    source: Path | None = None,
    transparent: bool = False,
    force: bool = False,
    resume: bool = False,
    crf: int | None = None,
    preset: str = "veryfast",
    picture_format: str = "png",
    title: str = "portraitseg",
    notice: Notice = to_stderr,
) -> Sink:
    """Open a sink.

    Args:
        kind: one of `KINDS`.
        out: file, folder, URL or device, as the kind asks.
        fps: nominal, of the source; 0 if unknown.
        live: the source is live.
        source: the video file whose sound a video file keeps.
        transparent: composites are RGBA.
        force: overwrite what is there.
        resume: go on with an interrupted run, for files and pictures; `Sink.done` says where.
        crf: see `encoder.recipe`.
        preset: of x264.
        picture_format: "png" or "jpg".
        title: of the window.
        notice: told what cannot be kept.

    Raises:
        InputError: the sink cannot be what is asked, or what it needs is missing on this machine.
        ImportError: it needs a package that is not installed; with the command that installs it.
    """
    if kind not in KINDS:
        raise InputError(f"a sink is one of {', '.join(KINDS)}, got {kind!r}")
    if transparent and kind not in TRANSPARENT:
        raise InputError(f"a {kind} has no transparency; choose {', '.join(TRANSPARENT[:-1])}, or a background")
    if resume and kind not in ("file", "pictures"):
        raise InputError(f"a {kind} cannot be resumed; choose file or pictures, or leave --resume out")
    fps = fps or FPS
    if kind == "window":
        return Window(title)
    if kind == "file":
        path = Path(_needed(kind, out))
        how = recipe(path.suffix.lower(), transparent=transparent, crf=crf, preset=preset)
        return VideoFile(path, how, fps=fps, source=source, force=force, resume=resume, notice=notice)
    if kind == "pictures":
        return PictureFolder(Path(_needed(kind, out)), suffix=picture_format, transparent=transparent, force=force, resume=resume)
    if kind == "camera":
        return VirtualCamera(out, fps=fps)
    if kind == "stream":
        return Push(_needed(kind, out), fps=fps, live=live, preset=preset)
    return Raw() if kind == "raw" else Null()


def _needed(kind: str, out: str | None) -> str:
    if not out:
        raise InputError(f"where to? A {kind} sink is {KINDS[kind]}; name it with --out")
    return out
