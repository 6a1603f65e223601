"""How long each stage takes, in memory that does not grow."""

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

KEPT = 3000
"""Newest times of each stage that percentiles are taken of."""


@dataclass(kw_only=True)
class Times:
    """Of all stages; each stage is timed by one thread."""

    stages: dict[str, deque[float]] = field(default_factory=dict)
    """Name -> the newest `KEPT` times in ms."""
    frames: int = 0
    """That came out."""
    dropped: int = 0
    """That came in and were passed over for newer ones."""
    start: float = field(default_factory=time.perf_counter)
    first: float | None = None
    """Seconds from the start to the first frame that came out."""
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=120))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        start = time.perf_counter()
        yield
        self.stages.setdefault(name, deque(maxlen=KEPT)).append(1e3 * (time.perf_counter() - start))

    def out(self) -> None:
        """A frame came out."""
        now = time.perf_counter()
        self.frames += 1
        self._recent.append(now)
        if self.first is None:
            self.first = now - self.start

    @property
    def fps(self) -> float:
        """Frames a second that came out lately: over the last 120 of them."""
        if len(self._recent) < 2:
            return 0.0
        return (len(self._recent) - 1) / max(self._recent[-1] - self._recent[0], 1e-9)

    def percentiles(self) -> dict[str, tuple[float, float]]:
        """Stage -> p50 and p90 in ms, over its newest `KEPT` times."""
        return {
            name: (float(p50), float(p90)) for name, times in list(self.stages.items()) for p50, p90 in [np.percentile(times, (50, 90))]
        }

    def report(self) -> dict[str, object]:
        """All of it, for JSON: from the start to the last frame that came out."""
        seconds = self._recent[-1] - self.start if self._recent else 0.0
        return {
            "frames": self.frames,
            "dropped": self.dropped,
            "seconds": round(seconds, 3),
            "fps": round(self.frames / seconds, 2) if seconds > 0 else 0.0,
            "first_frame_s": None if self.first is None else round(self.first, 3),
            "stages_ms": {name: {"p50": round(p50, 3), "p90": round(p90, 3)} for name, (p50, p90) in self.percentiles().items()},
        }

    def json(self) -> str:
        """`report` as one line."""
        return json.dumps(self.report())
