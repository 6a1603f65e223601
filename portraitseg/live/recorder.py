"""Recording while one watches: R starts a file, R ends it."""

from collections.abc import Callable

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live.frames import Frame, Sink
from portraitseg.live.notices import Notice, to_stderr


class Recorder:
    """Writes composites to one file after the other, while it is on. A disk that gets full ends the recording, not the run."""

    def __init__(self, open_file: Callable[[], Sink], notice: Notice = to_stderr) -> None:
        """Be ready.

        Args:
            open_file: opens a new file each time.
            notice: told what became of a recording.
        """
        self._open, self._notice = open_file, notice
        self._sink: Sink | None = None

    @property
    def on(self) -> bool:
        """It is recording."""
        return self._sink is not None

    def toggle(self) -> None:
        """Start a recording, or finish it."""
        if self._sink is None:
            self._try(self._start)
        else:
            self._end(finish=True)

    def write(self, frame: Frame, image: UInt8) -> None:
        """Take one composite, if it is on."""
        if self._sink is None:
            return
        sink = self._sink
        if not self._try(lambda: sink.write(frame, image)):
            self._end(finish=False)

    def close(self) -> None:
        """Finish what is being recorded."""
        self._end(finish=True)

    def _start(self) -> None:
        self._sink = self._open()

    def _end(self, *, finish: bool) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        if finish:
            self._try(sink.finish)
        sink.close()

    def _try(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except (InputError, ImportError) as error:
            self._notice(f"recording: {error}")
            return False
        return True
