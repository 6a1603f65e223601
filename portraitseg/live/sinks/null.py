"""A sink that only counts: for measurements."""

from portraitseg.image import UInt8
from portraitseg.live.frames import Frame


class Null:
    """Takes everything and keeps nothing."""

    done = None

    def __init__(self) -> None:
        self.frames = 0

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`."""
        self.frames += 1

    def finish(self) -> None:
        """See `Sink`."""

    def close(self) -> None:
        """See `Sink`."""
