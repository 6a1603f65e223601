"""What goes on by itself, a camera or a stream: a thread reads, the newest picture wins, what is lost is reached again."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live.frames import Frame
from portraitseg.live.notices import Notice

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""Seconds before each try to reach what was lost; after the last it is given up."""
JOIN = 1.0  # seconds that `close` gives the reading thread; a driver may hold it longer, and then it ends by itself


class Reader(Protocol):
    """An open camera or connection."""

    @property
    def fps(self) -> float:
        """Nominal frames a second; 0 if unknown."""

    def read(self) -> UInt8 | None:
        """The next picture, RGB (H,W,3); None if the connection is lost. Comes back within its time limit in any case.

        Raises:
            EOFError: there is no more, as there should be.
        """

    def close(self) -> None:
        """Free it; called by the thread that reads."""


class Reconnecting:
    """A live `Source`."""

    live = True
    count = None

    def __init__(
        self,
        name: str,
        connect: Callable[[], Reader],
        *,
        notice: Notice,
        wait: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect for the first time.

        Args:
            name: for messages.
            connect: gives a reader, or raises InputError.
            notice: told when the source is lost and when it is given up.
            wait: waits so many seconds and says whether `close` was called meanwhile.
            clock: seconds.

        Raises:
            InputError: there is nothing to connect to.
        """
        self._name, self._connect, self._notice, self._clock = name, connect, notice, clock
        self._reader: Reader | None = connect()
        self.fps = self._reader.fps
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._over = False
        self._fault: Exception | None = None
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        self._thread = threading.Thread(target=self._run, name=f"reads {self._name}", daemon=True)
        self._thread.start()
        while (frame := self._take()) is not None:
            yield frame
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """See `Source`."""
        self._closed.set()
        self._end()
        if self._thread is None:
            self._drop()
        elif self._thread is not threading.current_thread():
            self._thread.join(JOIN)

    def _take(self) -> Frame | None:
        """Wait for the newest frame; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._over)
            frame, self._newest = self._newest, None
            return None if self._closed.is_set() else frame

    def _run(self) -> None:
        try:
            self._read_on()
        except Exception as error:  # of whatever kind: the one who iterates is to get it
            self._fault = error
        finally:
            self._drop()
            self._end()

    def _read_on(self) -> None:
        start, index, tries = self._clock(), 0, 0
        while not self._closed.is_set():
            image = self._reader.read() if self._reader else None
            if image is not None:
                tries = 0
                with self._changed:
                    self._newest = Frame(image=image, time=self._clock() - start if index else 0.0, index=index)
                    self._changed.notify_all()
                index += 1
            elif self._closed.is_set() or not self._try_again(tries):
                return
            else:
                tries += 1

    def _try_again(self, tries: int) -> bool:
        """Wait, then connect; False if it is given up."""
        self._drop()
        if tries == len(PAUSES):
            self._notice(f"{self._name} did not come back within {sum(PAUSES):g} s; the run ends here")
            return False
        if tries == 0:
            self._notice(f"{self._name} is lost; trying to reach it for {sum(PAUSES):g} s")
        if self._wait(PAUSES[tries]):
            return False
        try:
            self._reader = self._connect()
        except InputError:
            self._reader = None
        return True

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
