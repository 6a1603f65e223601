"""Models measured side by side, in whatever format: load time, latency, memory, size and accuracy, one row each.

Each artifact is measured in processes of its own, started anew in every round, so that its load time and its memory are not those of
its neighbours. All artifacts take their turn in each round, in alternating order: on a machine whose speed drifts they suffer alike,
and the ratio of two rows is worth more than either number.

`python -m portraitseg.benchmark MODEL THREADS WARMUPS RUNS INPUT_RANGE WEIGHT_CACHE ENGINE` is such a process; it prints one JSON object.
"""

import importlib
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from portraitseg import image as pictures
from portraitseg.card import Card
from portraitseg.data.sources import Source
from portraitseg.device import device_name
from portraitseg.errors import InputError
from portraitseg.export import tflite_report
from portraitseg.metrics import Meter
from portraitseg.parts import sha256, size
from portraitseg.runtime import Artifact, cards, foreign_card, has_card, kind, open_artifact, predict

ROUNDS = 5
MB = 2**20
LIBRARIES = {
    ".tflite": ("LiteRT", "ai_edge_litert.interpreter", "ai-edge-litert"),
    ".onnx": ("onnxruntime", "onnxruntime", "onnxruntime"),
    ".xml": ("OpenVINO", "openvino", "openvino"),
    ".pb": ("TensorFlow", "tensorflow", "tensorflow"),
    "a folder": ("TensorFlow", "tensorflow", "tensorflow"),
    ".h5": ("TensorFlow", "tensorflow", "tensorflow"),
    "mediapipe": ("MediaPipe", "mediapipe", "mediapipe"),
}
"""Kind of `runtime.ENGINES`, or a name of `runtime.CHOICES` -> what runs it: its name, its module, its package."""
SAMPLE = Path(__file__).parent / "assets" / "astronaut.jpg"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to measure."""

    threads: int = 2
    """Of the CPU."""
    warmups: int = 10
    """Runs before the measured ones, in each process."""
    runs: int = 100
    """Measured runs of each artifact, all rounds together."""
    input_range: str = ""
    """For artifacts without a card: what 0 to 255 is scaled to, one of 0..1, -1..1, 0..255 and imagenet."""

    weight_cache: str = ""
    """For .tflite: a folder where XNNPACK keeps packed weights; the first of the processes fills it."""
    engine: str = ""
    """Run the files by another library than their suffix says: mediapipe, for .tflite files of `export.py --format mediapipe`."""

    def open(self, path: Path, card: Card | None) -> Artifact:
        """The model, as it is measured."""
        return open_artifact(path, threads=self.threads, card=card, engine=self.engine or None, weight_cache=self.cache(path))

    def library(self, path: Path) -> tuple[str, str, str]:
        """What runs the model: see `LIBRARIES`."""
        return LIBRARIES[self.engine or kind(path)]

    def cache(self, path: Path) -> Path | None:
        """The folder, if there is one and the model can have it."""
        return Path(self.weight_cache) if self.weight_cache and kind(path) == ".tflite" else None

    def check(self) -> None:
        """Refuse numbers that measure nothing.

        Raises:
            InputError: threads or runs below 1, warm-ups below 0.
        """
        if min(self.threads, self.runs) < 1 or self.warmups < 0:
            came = f"threads {self.threads}, runs {self.runs}, warmups {self.warmups}"
            raise InputError(f"threads and runs must be at least 1 and warmups at least 0, got {came}")


Candidate = tuple[Path, Settings]
"""An artifact, and how it is measured."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model. MB are 2^20 bytes; latency is that of the net alone, with handing it its input, without preparing the picture."""

    model: str
    runtime: str
    """The library that runs it, with its version."""
    device: str
    threads: int
    warmups: int
    runs: int
    load_ms: float
    """From the file to a net that is ready to run, median over the processes; the library was loaded before."""
    p50_ms: float
    p90_ms: float
    peak_mb: float
    """Largest resident memory of the process, Python, NumPy, OpenCV and the library included."""
    file_mb: float
    """Of all its files."""
    partitions: int | None
    """Connected parts that XNNPACK runs as one; None for other libraries, and where LiteRT does not tell."""
    iou: float | None = None
    """Of the person, in percent; None without data."""
    delta_iou: float | None = None
    """`iou` less that of the first model, in points."""
    miou: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one process measured."""

    load_ms: float
    latencies_ms: list[float]
    peak_mb: float


def check(models: Sequence[Path], settings: Settings) -> None:
    """Open every artifact once.

    Raises:
        InputError: a setting is out of range, there is no artifact, or one cannot be run.
    """
    settings.check()
    if not models:
        raise InputError("no model to measure; give one or more files, e.g. models/*.tflite")
    for path in models:
        if path.suffix.lower() == ".zip":
            raise InputError(f"cannot measure the bundle {path} itself; unzip it and give the file in it")
        settings.open(path, find_card(path, settings))


def find_card(path: Path, settings: Settings) -> Card | None:
    """None for an artifact with a card; for one without, a card made from `settings.input_range` if that is set."""
    if not settings.input_range or has_card(path):
        return None
    return foreign_card(path, input_range=settings.input_range)


def measure(models: Sequence[Path], settings: Settings, progress: Any = iter) -> list[Row]:
    """Measure all artifacts, round by round.

    Args:
        models: files that `check` accepted.
        settings: how to measure.
        progress: wraps the list of processes to start, e.g. tqdm.
    """
    return measure_each([(path, settings) for path in models], settings.runs, progress)


def measure_each(candidates: Sequence[Candidate], runs: int, progress: Any = iter) -> list[Row]:
    """As `measure`, each artifact with settings of its own, but for the number of runs."""
    samples: dict[Candidate, list[Sample]] = {candidate: [] for candidate in candidates}
    for (path, settings), share in progress(list(_plan(candidates, runs))):
        samples[path, settings].append(_measure_apart(path, settings, share))
    return [_row(path, settings, samples[path, settings]) for path, settings in candidates]


def accuracy(models: Sequence[Path], source: Source, settings: Settings, progress: Any = iter) -> list[dict[str, float]]:
    """IoU of the person and mIoU in percent of each artifact over all pictures of `source`, each at its own size.

    A picture that cannot be read is left out with a warning on stderr.

    Raises:
        InputError: none can be read, or a model gives NaN.
    """
    runtimes = [settings.open(path, find_card(path, settings)) for path in models]
    meters = [Meter(boundary=False) for _ in models]
    for index in progress(range(len(source))):
        try:
            image, mask = source.load(index)
        except InputError as error:
            print(f"warning: left out: {error}", file=sys.stderr)
            continue
        for runtime, meter in zip(runtimes, meters, strict=True):
            meter.add(source.name(index), predict(runtime, image), mask)
    return [meter.summary() for meter in meters]


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB.

    Not getrusage's on Linux: there a child starts with the peak of the process that forked it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB  # macOS counts bytes


def _plan(candidates: Sequence[Any], runs: int) -> Iterator[tuple[Any, int]]:
    """(artifact, runs) in the order of measurement: rounds over all artifacts, every second one backwards."""
    rounds = min(ROUNDS, runs)
    for number in range(rounds):
        share = runs // rounds + (number < runs % rounds)
        for candidate in candidates if number % 2 == 0 else reversed(candidates):
            yield candidate, share


def _measure_apart(path: Path, settings: Settings, runs: int) -> Sample:
    """Measure in a new process.

    Raises:
        InputError: the process failed.
    """
    numbers = (str(number) for number in (settings.threads, settings.warmups, runs))
    command = [
        sys.executable,
        "-m",
        "portraitseg.benchmark",
        str(path),
        *numbers,
        settings.input_range,
        settings.weight_cache,
        settings.engine,
    ]
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]  # we may run from a folder, not installed
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"measuring {path} failed (exit code {done.returncode}): {reason}")
    return Sample(**json.loads(done.stdout.splitlines()[-1]))


def _measure_here(path: Path, settings: Settings, runs: int) -> Sample:
    """Measure in this process, which must be a fresh one."""
    card = _vouched(path, settings)
    sample = pictures.read(SAMPLE)
    importlib.import_module(settings.library(path)[1])  # loading the library itself is not loading the model
    start = time.perf_counter()
    runtime = settings.open(path, card)
    load = time.perf_counter() - start
    x = runtime.tensor(pictures.to_input(sample, runtime.card))
    latencies = [_invoke(runtime, x) for _ in range(settings.warmups + runs)]
    return Sample(load_ms=1e3 * load, latencies_ms=latencies[settings.warmups :], peak_mb=peak_mb())


def _vouched(path: Path, settings: Settings) -> Card | None:
    """The card with the file's digest, since `check` has tried the file: it need not be opened elsewhere first. None for a checkpoint."""
    if kind(path) == ".h5":
        return None
    card = find_card(path, settings) or cards.required(cards.find(path), path)
    return replace(card, sha256=sha256(path))


def _invoke(runtime: Artifact, x: pictures.Array) -> float:
    """Run the net once; milliseconds."""
    start = time.perf_counter()
    runtime.engine(x, runtime.mask.index)
    return 1e3 * (time.perf_counter() - start)


def _row(path: Path, settings: Settings, samples: list[Sample]) -> Row:
    latencies = [value for sample in samples for value in sample.latencies_ms]
    p50, p90 = np.percentile(latencies, [50, 90])
    name, _, package = settings.library(path)
    return Row(
        model=path.name,
        runtime=f"{name} {importlib.metadata.version(package)}",
        device=device_name(),
        threads=settings.threads,
        warmups=settings.warmups,
        runs=len(latencies),
        load_ms=statistics.median(sample.load_ms for sample in samples),
        p50_ms=float(p50),
        p90_ms=float(p90),
        peak_mb=max(sample.peak_mb for sample in samples),
        file_mb=size(path) / MB,
        partitions=tflite_report.inspect(path.read_bytes()).partitions if settings.library(path)[0] == "LiteRT" else None,
    )


def _main(arguments: Sequence[str]) -> int:
    path, threads, warmups, runs, input_range, weight_cache, engine = arguments
    numbers = {"threads": int(threads), "warmups": int(warmups), "runs": int(runs)}
    settings = Settings(**numbers, input_range=input_range, weight_cache=weight_cache, engine=engine)
    sample = _measure_here(Path(path), settings, settings.runs)
    print(json.dumps(vars(sample)))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
