import threading
import time

import pytest

from portraitseg.errors import InputError
from portraitseg.live import pipeline as pipelines
from portraitseg.live.frames import Frame, SinkClosedError
from portraitseg.live.pipeline import Pipeline
from tests.live.fakes import Clip, Memory, find_all, show_prob


def started() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name in ("_capture", "_infer")}


def test_every_frame_of_a_file_goes_through_in_order_with_its_own_prob():
    source, sink = Clip(100), Memory()
    times = Pipeline(source, find_all, show_prob, sink).run()
    assert sink.indices == list(range(100))
    assert sink.pixels == [[number, number, number] for number in range(100)]  # red is the prob, green the frame: of one number
    assert (times.frames, times.dropped, sink.finished, sink.closed) == (100, 0, 1, 1)
    assert source.closed.is_set() and not started()
    assert set(times.report()["stages_ms"]) == {"capture", "inference", "compose", "sink"}


def test_a_slow_net_gets_the_newest_live_frame_and_the_others_are_counted():
    taken, busy = [], threading.Semaphore(0)

    def pace(number: int) -> None:
        if number == 1:
            assert busy.acquire(timeout=10)  # the net has frame 0 and is at work
        if number == 99:
            time.sleep(0.05)  # the last put of the others is over; then the net gets free

    release = threading.Event()

    def slow(frame: Frame):
        taken.append(frame.index)
        busy.release()
        assert release.wait(10) or True
        return find_all(frame)

    sink = Memory()
    pipeline = Pipeline(
        Clip(100, live=True, pace=lambda number: (pace(number), release.set() if number == 99 else None)[0]), slow, show_prob, sink
    )
    times = pipeline.run()
    assert taken[0] == 0 and taken[-1] == 99 and len(taken) <= 4  # not the 98 between, but for one that was taken before 99 came
    assert times.frames + times.dropped == 100
    assert sink.finished == 1


def test_the_stages_overlap():
    """Frame n is composed while n + 1 is in the net and n + 2 is captured: all three meet, or the barrier breaks."""
    count, together = 20, threading.Barrier(3, timeout=10)

    def net(frame: Frame):
        if 1 <= frame.index <= count - 2:
            together.wait()
        return find_all(frame)

    def composer(frame: Frame, prob):
        if frame.index <= count - 3:
            together.wait()
        return show_prob(frame, prob)

    sink = Memory()
    Pipeline(Clip(count, pace=lambda number: together.wait() if number >= 2 else None), net, composer, sink).run()
    assert sink.indices == list(range(count))


@pytest.mark.parametrize("where", ["source", "net", "composer", "sink"])
def test_a_stage_that_fails_ends_the_run_with_its_error_and_nothing_hangs(where):
    def fail_at_20(stage: str):
        def check(index: int) -> None:
            if stage == where and index == 20:
                raise InputError(f"the {stage} broke")

        return check

    def net(frame: Frame):
        fail_at_20("net")(frame.index)
        return find_all(frame)

    def composer(frame: Frame, prob):
        fail_at_20("composer")(frame.index)
        return show_prob(frame, prob)

    source, sink = Clip(50, pace=fail_at_20("source")), Memory(fail_at_20("sink"))
    with pytest.raises(InputError, match=f"the {where} broke"):
        Pipeline(source, net, composer, sink).run()
    assert sink.indices == list(range(20))  # all that came before
    assert (sink.finished, sink.closed) == (0, 1) and source.closed.is_set() and not started()


@pytest.mark.parametrize(("live", "finished"), [(True, 1), (False, 0)])
def test_stopped_in_the_middle_a_live_recording_is_finished_and_a_files_is_left_for_later(live, finished):
    sink = Memory()
    pipeline = Pipeline(
        Clip(10_000, live=live), find_all, show_prob, sink, each=lambda frame: pipeline.stop() if frame.index >= 7 else None
    )
    pipeline.run()
    assert pipeline.stopped and sink.indices[-1] >= 7 and len(sink.indices) <= 8
    assert (sink.finished, sink.closed) == (finished, 1) and not started()


def test_a_sink_that_has_enough_ends_the_run_well():
    def enough(index: int) -> None:
        if index == 3:
            raise SinkClosedError

    sink = Memory(enough)
    Pipeline(Clip(100), find_all, show_prob, sink).run()
    assert sink.indices == [0, 1, 2] and sink.closed == 1 and not started()


def test_a_blocked_source_is_closed_and_its_thread_comes_back():
    class Waiting(Clip):
        def __iter__(self):
            yield from list(super().__iter__())[:1]
            self.closed.wait(30)

    pipeline = Pipeline(Waiting(5, live=True), find_all, show_prob, Memory(), each=lambda frame: pipeline.stop())
    start = time.perf_counter()
    pipeline.run()
    assert time.perf_counter() - start < 5 and not started()


def test_a_sink_that_blocks_is_closed_over_its_frame(monkeypatch):
    monkeypatch.setattr(pipelines, "GRACE", 0.1)

    class Blocking(Memory):
        def __init__(self) -> None:
            super().__init__()
            self.free = threading.Event()

        def write(self, frame, image):
            threading.Thread(target=pipeline.stop).start()
            assert self.free.wait(30)

        def close(self):
            super().close()
            self.free.set()

    sink = Blocking()
    pipeline = Pipeline(Clip(50), find_all, show_prob, sink)
    start = time.perf_counter()
    pipeline.run()
    assert time.perf_counter() - start < 10 and pipeline.stopped and sink.closed >= 1 and sink.finished == 0
