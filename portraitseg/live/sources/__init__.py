"""Where frames come from: cameras, video files, streams, pictures, or a drawn person."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from portraitseg.errors import InputError
from portraitseg.image import SUFFIXES
from portraitseg.live.decoder import Decoder
from portraitseg.live.frames import Position, Source
from portraitseg.live.notices import Notice, to_stderr
from portraitseg.live.sources.camera import open_camera
from portraitseg.live.sources.pictures import Pictures
from portraitseg.live.sources.stream import SCHEMES, open_stream
from portraitseg.live.sources.synthetic import Synthetic
from portraitseg.live.sources.turn import Looped, Turned
from portraitseg.live.sources.video import PlainVideo, Video

ALLOWED = 'a camera ("0", "/dev/video0"), a video file, a folder of pictures, a picture, a URL (rtsp, http, rtmp, srt ...), or "synthetic"'


def open_source(
    text: str,
    *,
    rotate: int = 0,
    mirror: bool = False,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    loop: bool = False,
    after: Position | None = None,
    notice: Notice = to_stderr,
) -> Source:
    """Open what `text` names.

    Args:
        text: see `ALLOWED`; a synthetic source may state its size, FPS and number of frames: "synthetic:1280x720@30:300".
        rotate: 0, 90, 180 or 270 degrees clockwise, after what the file itself says of its orientation.
        mirror: left and right swapped, after the rotation.
        size: (width, height) wished from a camera, which may give another one.
        fps: wished from a camera; of pictures, how many are shown a second.
        loop: begin again at the end, for files and pictures.
        after: begin with the frame behind this one, for files and pictures.
        notice: told what is lost, found again or left out.

    Raises:
        InputError: there is no such source, or it cannot be opened.
    """
    if rotate not in (0, 90, 180, 270):
        raise InputError(f"rotate must be 0, 90, 180 or 270 degrees, got {rotate}")
    source = _opener(text, size, fps, after, notice)
    opened = source()
    if (loop or after is not None) and opened.live:
        opened.close()
        raise InputError(f"{text} is live: it can neither be looped nor resumed; leave that out, or give a file")
    if loop:
        opened = Looped(opened, source)
    return Turned(opened, rotate, mirror) if rotate or mirror else opened


def _opener(text: str, size: tuple[int, int] | None, fps: float | None, after: Position | None, notice: Notice) -> Callable[[], Source]:
    """What opens the source, as often as it is called."""
    if text.split(":")[0] == "synthetic":
        return lambda: Synthetic(text, after=after)
    if text.isdecimal() or text.startswith("/dev/"):
        return lambda: open_camera(text, size=size, fps=fps, notice=notice)
    if "://" in text:
        scheme = text.partition("://")[0].lower()
        if scheme not in SCHEMES:
            raise InputError(f"streams are read by {', '.join(sorted(SCHEMES))}, got {scheme!r}; a file is given by its path")
        return lambda: open_stream(text, after=after, notice=notice)
    return _file_opener(Path(text), fps, after, notice)


def _file_opener(path: Path, fps: float | None, after: Position | None, notice: Notice) -> Callable[[], Source]:
    if not path.exists():
        raise InputError(f"there is no {path}; a source is {ALLOWED}")
    if path.is_dir() or (path.suffix.lower() in SUFFIXES and path.suffix.lower() != ".gif"):
        return lambda: Pictures(path, fps=fps, after=after, notice=notice)
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); copy it again")
    if importlib.util.find_spec("av") is None:
        return lambda: PlainVideo(path, after=after)
    return lambda: Video(str(path), lambda: Decoder(str(path), str(path)), after=after, notice=notice)
