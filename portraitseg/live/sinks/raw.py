"""Raw frames on standard output, for programs that read them from a pipe."""

import sys
import threading
from typing import BinaryIO

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live.frames import Frame, SinkClosedError
from portraitseg.live.sinks.pipe import Pipe


class Raw:
    """Bytes of RGB (or RGBA) frames, row by row, without any header; each frame of its own size."""

    done = None

    def __init__(self, stream: BinaryIO | None = None) -> None:
        """Take standard output, or another stream with a file descriptor.

        Raises:
            InputError: it is a terminal.
        """
        self._stream = stream or sys.stdout.buffer
        if self._stream.isatty():
            raise InputError("raw frames are not for a terminal; pipe them on, as in: ... | ffplay -f rawvideo -pixel_format rgb24 -")
        self._stream.flush()
        self._pipe = Pipe(self._stream.fileno())
        self._closed = threading.Event()

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`. Waits for as long as the reader likes."""
        try:
            self._pipe.write(image, closed=self._closed.is_set)
        except BrokenPipeError as error:
            raise SinkClosedError("the reader of the pipe has left") from error
        except OSError as error:
            raise InputError(f"cannot write raw frames: {error.strerror}; free some space or choose another output") from error

    def finish(self) -> None:
        """See `Sink`."""
        self.close()

    def close(self) -> None:
        """See `Sink`."""
        self._closed.set()
        self._pipe.release()
