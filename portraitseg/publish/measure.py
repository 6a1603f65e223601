"""Measure the artifacts of a folder, and files of other projects beside them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from portraitseg import benchmark
from portraitseg.benchmark import Settings, find_card
from portraitseg.data.sources import Source
from portraitseg.publish import accuracy, ops
from portraitseg.publish.accuracy import Subsets
from portraitseg.publish.measured import Latency, Measured

THREADS = (1, 2)

Progress = Callable[[Any, str], Any]
"""(list of what is to do, its name) -> the same list, shown while it is gone through."""


def measure(
    models: Sequence[Path], peers: Mapping[Path, str], data: tuple[str, Source], subsets: Subsets, settings: Settings, progress: Progress
) -> dict[Path, Measured]:
    """Accuracy, latency, ops and verdicts of each file.

    Args:
        models: artifacts with their cards.
        peers: files without a card -> what 0 to 255 is scaled to for them, one of `Settings.input_range`.
        data: name of the set of pictures with masks, and the set.
        subsets: see `accuracy.Subsets`.
        settings: how to measure latency; its threads are not looked at.
        progress: shows how far it is.

    Raises:
        InputError: a file cannot be run.
    """
    ways = {**dict.fromkeys(models, settings), **{path: replace(settings, input_range=range_) for path, range_ in peers.items()}}
    for path, way in ways.items():
        benchmark.check([path], way)
    name, source = data
    scores = {}
    for path in progress(list(ways), "accuracy"):
        scores[path] = accuracy.score(ways[path].open(path, find_card(path, ways[path])), source, subsets)
    latencies = _latencies(ways, settings.runs, lambda plan: progress(plan, "latency"))
    found = {
        path: Measured(
            data=name,
            **scores[path],
            latency=latencies[path],
            bytes=path.stat().st_size,
            ops=ops.count(path),
            delegates=ops.verdicts(path),
        )
        for path in ways
    }
    return {path: replace(item, beside=_beside(item, {peer.name: found[peer] for peer in peers})) for path, item in found.items()}


def _latencies(ways: Mapping[Path, Settings], runs: int, progress: Any) -> dict[Path, tuple[Latency, ...]]:
    """With each number of threads, all in one run."""
    candidates = [(path, replace(way, threads=threads)) for path, way in ways.items() for threads in THREADS]
    found: dict[Path, tuple[Latency, ...]] = dict.fromkeys(ways, ())
    for (path, _), row in zip(candidates, benchmark.measure_each(candidates, runs, progress), strict=True):
        figures: dict[str, Any] = {name: getattr(row, name) for name in ("runtime", "device", "threads", "runs")}
        found[path] += (Latency(**figures, p50_ms=round(row.p50_ms, 3), p90_ms=round(row.p90_ms, 3)),)
    return found


def _beside(item: Measured, peers: Mapping[str, Measured]) -> dict[str, float]:
    """Time with the most threads, as multiples of that of others."""
    return {name: round(item.ms(THREADS[-1]) / peer.ms(THREADS[-1]), 3) for name, peer in peers.items()}
