"""What passes through the pipeline, and what stands at its ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from portraitseg.image import UInt8


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One picture of a source."""

    image: UInt8
    """RGB (H,W,3), upright, owned by whoever holds the frame: a source does not write to it again."""
    time: float
    """Seconds since the source's first frame; not evenly spaced where the source is not."""
    index: int
    """Counted by the source from 0, frames that were dropped later included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """The last frame that is safe in a recording; a source that is opened `after` it begins with the next one."""

    index: int
    time: float


class SinkClosedError(Exception):
    """The one who looks has had enough: the window was closed, the reader of the pipe has left. The run ends well."""


class Source(Protocol):
    """Where frames come from; opened by `sources.open_source`."""

    @property
    def live(self) -> bool:
        """Frames come when they come: who is late gets the newest. Otherwise the source waits and no frame may be lost."""

    @property
    def fps(self) -> float:
        """Nominal frames a second; 0 if unknown."""

    @property
    def count(self) -> int | None:
        """Frames in all, as far as the file says; None if unknown or endless."""

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once. Ends when the source ends.

        Raises:
            InputError: nothing can be read from the source (any more).
        """

    def close(self) -> None:
        """Free the device or file; a thread that waits in `__iter__` comes back. May be called twice."""


class Sink(Protocol):
    """Where composites go; opened by `sinks.open_sink`."""

    @property
    def done(self) -> Position | None:
        """The last frame that an earlier run has recorded already, where that run is resumed."""

    def write(self, frame: Frame, image: UInt8) -> None:
        """Take one composite.

        Args:
            frame: what the composite was made of.
            image: RGB (H,W,3), or straight RGBA (H,W,4) for a sink that was opened as transparent. Holds until the call returns.

        Raises:
            InputError: the disk is full, the server has gone, the device was taken away.
            SinkClosedError: whoever takes the frames wants no more.
        """

    def finish(self) -> None:
        """No more frames will come, and all that were wanted have: a video file gets its final form and name.

        A run that was interrupted, and is to be resumed, calls `close` alone.

        Raises:
            InputError: the disk is full, the server has gone.
        """

    def close(self) -> None:
        """Free everything, within seconds; what was recorded can be played. May be called twice, and while another thread writes."""
