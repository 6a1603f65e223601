"""Encoding pictures into one file that can be played up to wherever its writing broke off; through PyAV."""

import contextlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.optional import require

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
FRAGMENTS = {  # a piece a second is complete in itself; the index that a plain MP4 has at its end would be missing after a crash
    "movflags": "empty_moov+default_base_moof+frag_keyframe",
    "frag_duration": "1000000",  # microseconds
    "flush_packets": "1",
}
CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1"}  # milliseconds; the same in Matroska and WebM

VP9 = {"b": "0", "auto-alt-ref": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the pictures of one kind of file are coded."""

    codec: str
    pixels: str
    options: dict[str, str]
    """Of the codec. None reorders frames (no B-frames): so parts can be joined, and each time is also the time of decoding."""
    base: int
    """Ticks a second."""
    container: dict[str, str] = field(default_factory=dict)

    @property
    def transparent(self) -> bool:
        """The pictures are RGBA."""
        return "a" in self.pixels


def recipe(suffix: str, *, transparent: bool, crf: int | None, preset: str) -> Recipe:
    """Choose by the file's suffix.

    Args:
        suffix: .mp4, .mkv, .mov or .webm.
        transparent: keep the alpha: VP9 in .webm, ProRes 4444 in .mov.
        crf: constant quality, 0 to 51 (VP9: 63), lower is better; None for 20 (VP9: 30). ProRes has its own.
        preset: of x264, one of `PRESETS`.

    Raises:
        InputError: the file cannot hold that.
    """
    _check(suffix, transparent, crf, preset)
    container, base = (FRAGMENTS, 90_000) if suffix in (".mp4", ".mov") else (CLUSTERS, 1000)
    if suffix == ".webm":
        codec, pixels = "libvpx-vp9", "yuva420p" if transparent else "yuv420p"
        options = {**VP9, "crf": str(30 if crf is None else crf)}
    elif transparent:
        codec, pixels, options = "prores_ks", "yuva444p10le", {"profile": "4444"}
    else:
        codec, pixels, options = "libx264", "yuv420p", {"preset": preset, "crf": str(20 if crf is None else crf), "bf": "0"}
    return Recipe(codec=codec, pixels=pixels, options=options, base=base, container=container)


class Encoder:
    """One file."""

    def __init__(self, path: Path, recipe: Recipe, *, size: tuple[int, int], fps: float) -> None:
        """Create it.

        Args:
            path: overwritten if it exists.
            recipe: codec and container.
            size: (h,w), both even.
            fps: nominal.

        Raises:
            OSError, av.FFmpegError: it cannot be written.
        """
        self._av = require("av", extra="live")
        self._path, self._recipe, self._frames = path, recipe, 0
        self._container = self._av.open(str(path), "w", container_options=recipe.container)
        self._stream = self._container.add_stream(recipe.codec, rate=Fraction(fps).limit_denominator(1001), options=recipe.options)
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = recipe.pixels
        context = self._stream.codec_context
        context.time_base = self._stream.time_base = Fraction(1, recipe.base)
        context.colorspace = context.color_primaries = context.color_trc = self._av.video.reformatter.Colorspace.ITU709
        context.color_range = self._av.video.reformatter.ColorRange.MPEG
        self._convert = self._av.video.reformatter.VideoReformatter()
        self._pieces = Fraction(1, recipe.base)

    def write(self, image: UInt8, ticks: int) -> None:
        """Add a picture, RGB or RGBA as the recipe says, that is shown from `ticks` on.

        Raises:
            OSError: the disk is full.
        """
        picture = self._av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), "rgba" if self._recipe.transparent else "rgb24")
        coded = self._convert.reformat(picture, format=self._recipe.pixels, dst_colorspace="itu709", dst_color_range="MPEG")
        coded.pts, coded.time_base = ticks, self._pieces
        self._container.mux(self._stream.encode(coded))
        self._frames += 1

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: the disk is full.
        """
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
        read_back(self._path, self._frames)

    def abandon(self) -> None:
        """Close without another word, after an error."""
        with contextlib.suppress(self._av.FFmpegError, OSError, ValueError):
            self._container.close()


def read_back(path: Path, frames: int) -> None:
    """See that a closed file holds so many: where the disk gets full at the very end, FFmpeg closes it without a word.

    Raises:
        OSError: it does not.
    """
    with require("av", extra="live").open(str(path)) as container:
        held = sum(packet.size > 0 and not packet.is_corrupt for packet in container.demux(video=0))
    if held != frames:
        raise OSError(f"{held} of {frames} frames can be read back; the disk may be full")


def _check(suffix: str, transparent: bool, crf: int | None, preset: str) -> None:
    if suffix not in (".mp4", ".mkv", ".mov", ".webm"):
        raise InputError(f"videos are written as .mp4, .mkv, .mov or .webm, got {suffix or 'no suffix'!r}; rename the output")
    if transparent and suffix not in (".webm", ".mov"):
        raise InputError(f"{suffix} with H.264 has no transparency; write .webm (VP9), .mov (ProRes 4444) or a folder of PNG pictures")
    most = 63 if suffix == ".webm" else 51
    if crf is not None and not 0 <= crf <= most:
        raise InputError(f"crf must be 0 (best) to {most} for {suffix}, got {crf}")
    if preset not in PRESETS:
        raise InputError(f"preset must be one of {', '.join(PRESETS)}, got {preset!r}")
