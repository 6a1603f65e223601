"""A video file: it grows as parts in a folder beside it, and gets its name when it is complete."""

import threading
from pathlib import Path

from portraitseg.errors import InputError, one_line
from portraitseg.files import refuse_existing
from portraitseg.image import UInt8
from portraitseg.live.frames import Frame, Position
from portraitseg.live.notices import Notice
from portraitseg.live.sinks import recording
from portraitseg.live.sinks.assemble import assemble
from portraitseg.live.sinks.encoder import Encoder, Recipe
from portraitseg.live.sinks.recording import Part
from portraitseg.live.sinks.sizes import even, letterbox
from portraitseg.optional import require

FRAMES = 300
"""In a part: so many are made again at most, where a run was killed and is resumed."""


class VideoFile:
    """The frames at their own times, in the first one's size; odd sizes grow by one pixel, as the codecs ask for even ones."""

    def __init__(self, out: Path, recipe: Recipe, *, fps: float, source: Path | None, force: bool, resume: bool, notice: Notice) -> None:
        """Make the folder of parts, or go on with the one of an earlier run.

        Args:
            out: the file in the end.
            recipe: see `encoder.recipe`.
            fps: nominal.
            source: the video that the frames are made of, whose sound is kept.
            force: overwrite `out`, and forget an earlier run.
            resume: go on with an earlier run; `done` says where.
            notice: told when the sound cannot be kept.

        Raises:
            InputError: `out` or its folder of parts exists, or cannot be written to.
            ImportError: PyAV is not installed.
        """
        self._errors = (OSError, InputError, require("av", extra="live").FFmpegError)
        refuse_existing(out, force=force)
        settings = {"codec": recipe.codec, "options": recipe.options, "fps": fps, "source": source and str(source)}
        self._note = recording.begin(out, settings, force=force, resume=resume)
        self._folder = recording.folder_of(out)
        self._out, self._recipe, self._fps, self._source, self._notice = out, recipe, fps, source, notice
        self._encoder: Encoder | None = None
        self._ticks, self._start, self._frames = self._note.end, 0, 0
        self._last = self._note.last
        self._lock = threading.Lock()
        self._closed = False

    @property
    def done(self) -> Position | None:
        """See `Sink`."""
        return self._note.last

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`."""
        with self._lock:
            if self._closed:
                return
            if self._last is not None and frame.index <= self._last.index:
                raise ValueError(f"frame {frame.index} comes after frame {self._last.index}; open the source behind `done`")
            try:
                self._encode(frame, even(image))
                if self._frames == FRAMES:
                    self._close_part()
            except self._errors as error:
                raise self._broken(error) from error
            except BaseException:  # Ctrl-C: nobody knows how much of the frame is in the part, so the part is made again when resumed
                self._abandon()
                raise

    def finish(self) -> None:
        """See `Sink`."""
        self.close()
        if self._last is None:
            raise InputError(f"{self._out} was not written: no frame came")
        assemble(self._out, self._folder, self._note, self._recipe, fps=self._fps, source=self._source, notice=self._notice)
        recording.remove(self._folder)

    def close(self) -> None:
        """See `Sink`. Without `finish` before, the parts stay in their folder, to be resumed."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._close_part()
            except self._errors as error:
                raise self._broken(error) from error
            if self._last is None:
                recording.remove(self._folder)

    def _encode(self, frame: Frame, image: UInt8) -> None:
        if self._last is None:
            self._note = self._note.begun(size=(image.shape[0], image.shape[1]), origin=frame.time)
        due = round((frame.time - self._note.origin) * self._recipe.base)
        self._ticks = due if self._last is None else max(due, self._ticks + 1)
        if self._encoder is None:
            self._start = self._ticks
            self._encoder = Encoder(self._folder / self._name, self._recipe, size=self._note.size, fps=self._fps)
        self._encoder.write(letterbox(image, self._note.size), self._ticks - self._start)
        self._frames += 1
        self._last = Position(index=frame.index, time=frame.time)

    def _close_part(self) -> None:
        """Close the open part and note it."""
        if self._encoder is None or self._last is None:
            return
        self._encoder.close()
        self._encoder = None
        part = Part(file=self._name, start=self._start, frames=self._frames)
        note = self._note.add(part, end=self._ticks, last=self._last)
        recording.save(self._folder, note)
        self._note, self._frames = note, 0

    def _broken(self, error: Exception) -> InputError:
        """Give up after an error; say where what there is can be found."""
        self._abandon()
        kept = self._note.frames + self._frames
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or one_line(cause)
        return InputError(
            f"cannot write {self._out}: {reason}; about {kept} frames until then can be played in {self._folder}; "
            "free some space and go on with --resume"
        )

    def _abandon(self) -> None:
        self._closed = True
        if self._encoder is not None:
            self._encoder.abandon()

    @property
    def _name(self) -> str:
        return f"{len(self._note.parts):04d}{self._out.suffix.lower()}"
