"""Memory and threads stay what they are, however long it runs: the pipeline in a process of its own, whose memory is read on the way."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys, threading, time
from dataclasses import replace
from pathlib import Path
from portraitseg.cli.defaults import MODEL
from portraitseg.live import Effects, Look, Pipeline, open_sink, open_source
from portraitseg.runtime import open_artifact

kind, frames, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])


class Camera:
    live, count = True, None

    def __init__(self, source):
        self.source, self.fps, self.open = source, 15.0, True

    def __iter__(self):
        start = time.monotonic()
        for number, frame in enumerate(self.source):
            time.sleep(max(0.0, start + number / self.fps - time.monotonic()))
            if not self.open or time.monotonic() - start > seconds:
                return
            yield frame

    def close(self):
        self.open = False


def look_around(frame):
    look.background += frame.index % 50 == 0
    if frame.index % 10 == 0:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        samples.append((pages * os.sysconf("SC_PAGE_SIZE") / 2**20, len(os.listdir("/proc/self/task"))))


samples, look = [], Look(colour_transfer=True, show_times=True)
source = open_source(f"synthetic:320x180@30:{frames}")
effects = Effects(["blur", "navy", "bokeh"], look=look, clean=True)
runtime = open_artifact(MODEL, threads=1)
times = Pipeline(Camera(source) if kind == "live" else source, runtime, effects, open_sink("null", fps=30), each=look_around).run()
print(json.dumps({"frames": times.frames, "samples": samples, "left": threading.active_count()}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("kind", "frames", "seconds"),
    [
        ("file", 200, 0),
        pytest.param("file", 10_000, 0, marks=pytest.mark.slow),
        pytest.param("live", 100_000, 1800, marks=pytest.mark.slow),
    ],
)
def test_memory_and_threads_do_not_grow(kind, frames, seconds):
    command = [sys.executable, "-c", PROGRAM, kind, str(frames), str(seconds)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=2400)
    told = json.loads(done.stdout)
    assert told["frames"] == frames if kind == "file" else told["frames"] > 1000
    settled = told["samples"][len(told["samples"]) // 5 :]  # libraries take what they need for the first frames
    memory, threads = [megabytes for megabytes, _ in settled], [count for _, count in settled]
    assert max(memory[-5:]) - max(memory[:5]) < 8, f"MB of the process: {memory[:5]} ... {memory[-5:]}"
    assert max(threads) == max(threads[:5]) and told["left"] == 1
