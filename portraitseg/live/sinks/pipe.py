"""Writing to a pipe whose reader may be slow, stand still or leave."""

import contextlib
import os
import select
from collections.abc import Callable

from portraitseg.image import UInt8

TICK = 0.1  # seconds between looks at whether the sink was closed meanwhile


class Pipe:
    """The writing end of a pipe, or of whatever a file descriptor stands for."""

    def __init__(self, descriptor: int) -> None:
        """Borrow the descriptor; it does not block from now on."""
        self._descriptor = descriptor
        self._blocking = os.get_blocking(descriptor)
        os.set_blocking(descriptor, False)
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, image: UInt8, *, closed: Callable[[], bool], limit: float | None = None) -> bool:
        """Write the picture's bytes, row by row; False if `closed` became true before it was through.

        Raises:
            TimeoutError: nothing was taken for `limit` seconds.
            BrokenPipeError: the reader has left.
        """
        data, waited = memoryview(image.tobytes()), 0.0
        while data and not closed():
            if limit is not None and waited >= limit:
                raise TimeoutError
            if not self._poll.poll(TICK * 1000):
                waited += TICK
                continue
            with contextlib.suppress(BlockingIOError):
                data, waited = data[os.write(self._descriptor, data) :], 0.0
        return not data

    def release(self) -> None:
        """Leave the descriptor as it was."""
        with contextlib.suppress(OSError):  # closed by its owner
            os.set_blocking(self._descriptor, self._blocking)
