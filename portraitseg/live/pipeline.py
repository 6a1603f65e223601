"""The pipeline: capture, inference and composition, each in a thread of its own.

Capture and inference run in threads that this starts; composition and the sink in the caller's, since windows belong to the main one.
Live frames that come while a stage is busy give way to the newest; frames of a file wait for each other, and none is lost.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from portraitseg.image import Float32, UInt8
from portraitseg.live.channel import Channel
from portraitseg.live.frames import Frame, Sink, SinkClosedError, Source
from portraitseg.live.segmenter import Segmenter
from portraitseg.live.timing import Times
from portraitseg.runtime import Runtime

GRACE = 3.0
"""Seconds that a sink gets for the last frame, once the run is to end."""
WAITING = 4
"""Frames of a file that may wait between two stages."""
PATIENCE = 10.0
"""Seconds that a thread gets to come back after its source was closed: as long as a stream's time-out."""


class Segments(Protocol):
    """What finds the person."""

    def __call__(self, frame: Frame) -> Float32:
        """The next frame -> prob (h,w) in [0,1] of any size; enlarged to the frame's size it lies on the picture."""


class Effect(Protocol):
    """What makes a composite of a frame and its prob."""

    def __call__(self, frame: Frame, prob: Float32) -> UInt8:
        """RGB (H,W,3) or, for a transparent sink, straight RGBA (H,W,4); holds until the next call."""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    frame: Frame
    prob: Float32


class Pipeline:
    """A source, a net, what is made of its probs, a sink. Runs once."""

    def __init__(
        self,
        source: Source,
        runtime: Runtime | Segments,
        effects: Effect,
        sink: Sink,
        *,
        each: Callable[[Frame], object] = lambda frame: None,
    ) -> None:
        """Put the stages together.

        Args:
            source: is closed at the end.
            runtime: called in a thread of its own; a net alone gets a `Segmenter` about it.
            effects: called in the thread that calls `run`, as is the sink.
            sink: is finished and closed at the end.
            each: called after every composite that the sink has taken.
        """
        self.times = Times()
        self._segmenter = Segmenter(runtime) if isinstance(runtime, Runtime) else runtime
        self._source, self._effects, self._sink = source, effects, sink
        self._each = each
        size = 1 if source.live else WAITING
        self._captured: Channel[Frame] = Channel(size, newest_wins=source.live)
        self._seen: Channel[_Seen] = Channel(size, newest_wins=source.live)
        self._stopped, self._ended = threading.Event(), threading.Event()

    def stop(self) -> None:
        """End the run after the frame that is being composed, from any thread or a signal's handler.

        A sink that still holds on to that frame after `GRACE` seconds is closed over it.
        """
        if not self._stopped.is_set():
            self._stopped.set()
            threading.Thread(target=self._free_sink, name="stop", daemon=True).start()

    def _free_sink(self) -> None:
        if not self._ended.wait(GRACE):
            self._sink.close()

    @property
    def stopped(self) -> bool:
        """The run ended, or is to end, before its source did."""
        return self._stopped.is_set()

    def run(self) -> Times:
        """Work until the source ends, the sink has enough, or `stop` is called.

        A live recording is finished whenever it ends. That of a file is finished at the file's end only; stopped before, it stays as the
        sink leaves it for a later run.

        Raises:
            InputError: the source, the net or the sink failed; what was recorded is left as the sink's `close` leaves it.
        """
        threads = [threading.Thread(target=work, name=work.__name__, daemon=True) for work in (self._capture, self._infer)]
        for thread in threads:
            thread.start()
        try:
            try:
                self._compose_all()
            finally:
                self._ended.set()
            if self._source.live or not self.stopped:
                self._sink.finish()
        finally:
            self._stopped.set()
            self._captured.drop()
            self._seen.drop()
            self._source.close()
            for thread in threads:
                thread.join(PATIENCE)
            self._sink.close()
        return self.times

    def _capture(self) -> None:
        def frames() -> None:
            iterator = iter(self._source)
            while not self._stopped.is_set():
                with self.times.stage("capture"):
                    frame = next(iterator, None)
                if frame is None or not self._captured.put(frame):
                    return

        self._until_end(frames, self._captured)

    def _infer(self) -> None:
        def probs() -> None:
            for frame in self._captured:
                with self.times.stage("inference"):
                    prob = self._segmenter(frame)
                if not self._seen.put(_Seen(frame=frame, prob=prob)):
                    return

        self._until_end(probs, self._seen)

    def _until_end(self, work: Callable[[], None], channel: Channel[Frame] | Channel[_Seen]) -> None:
        """Do a thread's work; how it ended is told to the one who takes from its channel."""
        try:
            work()
        except BaseException as error:  # raised where `run` was called
            channel.end(error)
        else:
            channel.end()

    def _compose_all(self) -> None:
        try:
            while not self._stopped.is_set():
                seen = self._seen.take(0.1)
                if seen is not None:
                    self._compose(seen)
                elif self._seen.ended:
                    return
        except SinkClosedError:
            self.stop()

    def _compose(self, seen: _Seen) -> None:
        if self._source.live:  # by the frames' numbers: the source, too, passes over what comes while nobody takes it
            self.times.dropped = seen.frame.index - self.times.frames
        with self.times.stage("compose"):
            composite = self._effects(seen.frame, seen.prob)
        with self.times.stage("sink"):
            self._sink.write(seen.frame, composite)
        self.times.out()
        self._each(seen.frame)
