import json

import numpy as np

from portraitseg.live import timing
from portraitseg.live.timing import Times


def test_percentiles_are_numpys_over_the_newest_times(monkeypatch):
    clock = iter(np.cumsum([0.0] + [step for number in range(1, 4001) for step in (number / 1e6, 1.0)]).tolist())
    times = Times(start=0.0)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    for _ in range(4000):
        with times.stage("net"):
            pass
    newest = np.arange(1001, 4001) / 1e3  # ms; of 4,000 times the newest 3,000 are kept
    assert np.allclose(times.percentiles()["net"], np.percentile(newest, (50, 90)), atol=1e-6)


def test_frames_a_second_and_the_first_frame(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    times = Times(start=10.0)
    assert times.fps == 0.0 and times.first is None
    for _ in range(200):
        now[0] += 0.02
        times.out()
    assert abs(times.fps - 50) < 1e-6 and abs(times.first - 0.02) < 1e-9
    report = json.loads(times.json())
    assert (report["frames"], report["seconds"], report["fps"], report["first_frame_s"]) == (200, 4.0, 50.0, 0.02)
