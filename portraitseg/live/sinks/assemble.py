"""Joining the parts of a video, and the sound of its source, without coding the pictures again."""

import contextlib
import heapq
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from portraitseg.errors import InputError, one_line
from portraitseg.live.decoder import Decoder
from portraitseg.live.notices import Notice
from portraitseg.live.sinks.encoder import Recipe, read_back
from portraitseg.live.sinks.recording import Note
from portraitseg.optional import require

SOUND = {".webm": "libopus"}  # others: AAC; for sound that the container cannot hold as it is


def assemble(out: Path, folder: Path, note: Note, recipe: Recipe, *, fps: float, source: Path | None, notice: Notice) -> None:
    """Write `out` from the parts in `folder`, whole or not at all.

    Raises:
        InputError: the disk is full; the parts stay.
    """
    av = require("av", extra="live")
    whole = folder / f"whole{out.suffix}"
    try:
        try:
            _write(whole, folder, note, recipe, fps=fps, source=source, notice=notice)
        except (av.error.InvalidDataError, av.error.ArgumentError) as error:  # the parts are our own: it can only be the sound
            notice(f"the sound of {source} is left out: {one_line(error)}")
            _write(whole, folder, note, recipe, fps=fps, source=None, notice=notice)
        whole.replace(out)
    except OSError as error:
        with contextlib.suppress(OSError):
            whole.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {out}: {error.strerror or error}; all {note.frames} frames can be played in {folder}; "
            f"free as much space as it takes and go on with --resume"
        ) from error


def _write(whole: Path, folder: Path, note: Note, recipe: Recipe, *, fps: float, source: Path | None, notice: Notice) -> None:
    av = require("av", extra="live")
    options = {"movflags": "faststart"} if whole.suffix in (".mp4", ".mov") else {}
    with av.open(str(whole), "w", container_options=options) as target, contextlib.ExitStack() as opened:
        with av.open(str(folder / note.parts[0].file)) as first:
            stream = target.add_stream_from_template(first.streams.video[0])
            stream.time_base = Fraction(1, recipe.base)
            stream.codec_context.framerate = Fraction(fps).limit_denominator(1001)  # else Matroska states its clock's 1000
            if recipe.transparent and whole.suffix == ".webm":
                stream.metadata["alpha_mode"] = "1"  # the track's AlphaMode, which browsers look at
        tracks = [_pictures(av, folder, note, recipe, stream)]
        sound = source and _open_sound(av, source, notice)
        if sound:
            opened.enter_context(sound.container)
            tracks.append(sound.packets(target, whole.suffix, until=note.end / recipe.base + 1 / (fps or 30), origin=note.origin))
        for packet in heapq.merge(*tracks, key=_time):
            target.mux(packet)
    read_back(whole, note.frames)


def _pictures(av: Any, folder: Path, note: Note, recipe: Recipe, stream: Any) -> Iterator[Any]:
    """The packets of all parts at their times in the whole."""
    base = Fraction(1, recipe.base)
    for part in note.parts:
        with av.open(str(folder / part.file)) as container:
            for packet in container.demux(video=0):
                if packet.pts is None:  # the end
                    continue
                ticks = part.start + round(packet.pts * packet.time_base / base)
                packet.duration = round(packet.duration * packet.time_base / base)
                packet.time_base, packet.pts, packet.dts = base, ticks, ticks
                packet.stream = stream
                yield packet


class _Sound:
    """The sound of the source, on the clock of its first picture."""

    def __init__(self, av: Any, container: Any, stream: Any, zero: Fraction) -> None:
        self.container, self._av, self._stream, self._zero = container, av, stream, zero

    def packets(self, target: Any, suffix: str, *, until: float, origin: float) -> Iterator[Any]:
        """Packets for `target`, from the first frame's time `origin` for `until` seconds: as they are if it can hold them."""
        start = self._zero + Fraction(origin)
        if self._stream.codec_context.name in target.supported_codecs:
            track = target.add_stream_from_template(self._stream)
            return self._copied(track, start, until)
        track = target.add_stream(SOUND.get(suffix, "aac"), rate=48_000)
        track.codec_context.layout = "mono" if self._stream.codec_context.channels == 1 else "stereo"
        return self._coded(track, start, until)

    def _copied(self, track: Any, start: Fraction, until: float) -> Iterator[Any]:
        for packet in self._demux():
            if packet.pts is None or packet.dts is None:
                continue
            shift = round(start / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet.pts * packet.time_base >= until:
                return
            if packet.dts >= 0:
                packet.stream = track
                yield packet

    def _coded(self, track: Any, start: Fraction, until: float) -> Iterator[Any]:
        for frame in self._decoded():
            since = frame.pts * frame.time_base - start
            if since >= until:
                break
            if since >= 0:
                frame.pts = round(since / frame.time_base)
                yield from track.encode(frame)
        yield from track.encode(None)

    def _decoded(self) -> Iterator[Any]:
        """Frames of sound with their times; where the file states none, they follow each other."""
        end = 0
        for packet in self._demux():
            with contextlib.suppress(self._av.error.InvalidDataError):  # a broken packet is a short silence
                for frame in packet.decode():
                    unit = Fraction(1, frame.sample_rate)
                    frame.pts = end if frame.pts is None else round(frame.pts * frame.time_base / unit)
                    frame.time_base, end = unit, frame.pts + frame.samples
                    yield frame

    def _demux(self) -> Iterator[Any]:
        with contextlib.suppress(self._av.error.InvalidDataError):  # what is broken ends the sound
            yield from self.container.demux(self._stream)


def _open_sound(av: Any, source: Path, notice: Notice) -> _Sound | None:
    """The source's sound; None if it has none."""
    try:
        container = av.open(str(source))
        stream = container.streams.best("audio")
        if stream is None or stream.codec_context is None:
            container.close()
            return None
        first = next(iter(Decoder(str(source), str(source))))
        return _Sound(av, container, stream, first.pts * first.time_base)
    except (InputError, av.FFmpegError, StopIteration, TypeError) as error:
        notice(f"the sound of {source} is left out: {one_line(error)}")
        return None


def _time(packet: Any) -> float:
    return float(packet.dts * packet.time_base)
