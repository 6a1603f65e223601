"""How portrait_nano got its shape: operations, candidates' latencies, and short trainings, each as a table in benchmarks/results/.

    python benchmarks/nano_search.py --step ops                           # what an operation costs in int8
    python benchmarks/nano_search.py --step latency                       # every candidate's int8 latency against munet_mnv3_transition
    python benchmarks/nano_search.py --step accuracy --data PORTRAITS     # every candidate trained briefly at 128 px

Each step adds the rows that its table lacks, so that an interrupted one goes on. Latencies are medians of interleaved runs in one process:
read the ratios. Nothing else should run beside.
"""

# ruff: noqa: E402 - TensorFlow is started quietly before the modules that import it

import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro

from portraitseg.quiet import load_tensorflow, quiet

load_tensorflow()  # quietly, and so before all that imports it

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs.portrait_nano import LARGE, MEDIUM, SMALL, Table, portrait_nano
from portraitseg.data.sources import open_data
from portraitseg.export import tflite
from portraitseg.resizing import RESIZES
from portraitseg.rewrite import deploy, int8_graph
from portraitseg.training.config import TrainConfig
from portraitseg.training.trainer import Trainer

RESULTS = Path(__file__).parent / "results"
REFERENCE = "munet_mnv3_transition"
ROUNDS, RUNS = 20, 5


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the search."""

    step: Literal["ops", "latency", "accuracy"]
    """What to measure."""
    data: Path | None = None
    """Step accuracy: folder of portraits with masks."""
    epochs: int = 3
    """Step accuracy: of each candidate."""
    size: int = 128
    """Step accuracy: height and width in training."""


def _stage(number: int, row: tuple[int, int, int, int]) -> Table:
    """MEDIUM with another stage."""
    stages = list(MEDIUM.stages)
    stages[number] = row
    return replace(MEDIUM, stages=tuple(stages))


CANDIDATES: dict[str, Table] = {
    "small": SMALL,
    "medium": MEDIUM,
    "large": LARGE,
    "stem 8": replace(MEDIUM, stem=8),
    "1/4: no block": _stage(0, (32, 1, 0, 0)),
    "1/4: depthwise block": _stage(0, (32, 2, 1, 3)),
    "1/8: 1 block": _stage(1, (64, 2, 1, 3)),
    "1/8: 3 blocks": _stage(1, (64, 2, 3, 3)),
    "1/8: expansion 3": _stage(1, (64, 3, 2, 3)),
    "1/8: dense blocks": _stage(1, (64, 1, 2, 0)),
    "1/16: 3 blocks": _stage(2, (96, 2, 3, 3)),
    "1/16: 128 channels": _stage(2, (128, 2, 4, 3)),
    "1/32: 192 channels": _stage(3, (192, 2, 3, 5)),
    "1/32: 4 blocks": _stage(3, (160, 2, 4, 5)),
    "1/32: kernel 3": _stage(3, (160, 2, 3, 3)),
    "decoder 48 32 16": replace(MEDIUM, decoder=(48, 32, 16)),
    "decoder 64 48 16": replace(MEDIUM, decoder=(64, 48, 16)),
}


def main(config: Config) -> None:
    """Run one step."""
    path = RESULTS / f"nano_{config.step}.csv"
    RESULTS.mkdir(exist_ok=True)
    steps: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
        "ops": lambda: _latencies(_operations()),
        "latency": lambda: _latencies({REFERENCE: _arch(REFERENCE)} | {name: _candidate(table) for name, table in CANDIDATES.items()}),
        "accuracy": lambda: _accuracies(config, path),
    }
    _write(path, steps[config.step]())


def _operations() -> dict[str, bytes]:
    """Four of an operation in a row, at the resolutions and widths that a 256x256 net has; and one doubling of each kind."""

    def row(shape: tuple[int, ...], make: Callable[[], layers.Layer], times: int = 4) -> bytes:
        x = image = keras.Input(shape, batch_size=1)
        for _ in range(times):
            x = make()(x)
        return _convert(keras.Model(image, x))

    files = {}
    for side, channels in ((128, 16), (64, 32), (32, 64), (16, 128), (8, 256)):
        same: dict[str, Any] = {"padding": "same", "activation": "relu"}
        files[f"{side} px, {channels} channels: 4 dense 3x3"] = row((side, side, channels), partial(layers.Conv2D, channels, 3, **same))
        files[f"{side} px, {channels} channels: 4 dense 1x1"] = row((side, side, channels), partial(layers.Conv2D, channels, 1, **same))
        for kernel in (3, 5):
            make = partial(layers.DepthwiseConv2D, kernel, **same)
            files[f"{side} px, {channels} channels: 4 depthwise {kernel}x{kernel}"] = row((side, side, channels), make)
    for side, channels in ((128, 1), (128, 16), (64, 16), (32, 32)):
        shape = (side, side, channels)
        files[f"{side} to {2 * side} px, {channels} channels: bilinear"] = row(
            shape, partial(layers.UpSampling2D, interpolation="bilinear"), 1
        )
        make = partial(layers.Conv2DTranspose, channels, 2, 2)
        files[f"{side} to {2 * side} px, {channels} channels: transposed 2x2"] = row(shape, make, 1)
        files[f"{side} to {2 * side} px, {channels} channels: 1x1, DEPTH_TO_SPACE"] = row(shape, partial(_SubPixel, channels), 1)
    return files


class _SubPixel(layers.Layer):  # type: ignore[misc]  # its base has no types
    """1x1 convolution to four times the channels and DEPTH_TO_SPACE: what a transposed 2x2 convolution of stride 2 computes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widen = layers.Conv2D(4 * channels, 1)

    def call(self, inputs: Any) -> Any:
        """(1,h,w,C) -> (1,2h,2w,C)."""
        import tensorflow as tf

        return tf.nn.depth_to_space(self.widen(inputs), 2)


def _register(table: Table) -> str:
    """Make the candidate an arch of this process; its name."""
    archs.ARCHS["candidate"] = archs.ArchSpec(builder=partial(portrait_nano, table=table), size=256, paper="-", options={"resize": RESIZES})
    return "candidate"


def _candidate(table: Table) -> bytes:
    return _arch(_register(table))


def _arch(name: str) -> bytes:
    """The int8 file of an untrained net."""
    card = archs.new_card(name)
    graph, card = deploy.to_deploy(archs.build(card), card)
    return _convert(int8_graph.to_int8_graph(graph))


def _convert(graph: keras.Model) -> bytes:
    random = np.random.default_rng(0)
    pictures = [random.uniform(-1, 1, graph.input_shape).astype(np.float32) for _ in range(2)]
    with quiet():
        return tflite.convert(graph, "int8", calibration=pictures, io="int8")  # type: ignore[arg-type]


def _latencies(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Median milliseconds of each file at one and two threads, all taking turns."""
    from ai_edge_litert.interpreter import Interpreter

    rows: dict[str, dict[str, Any]] = {name: {"net": name, "KB": len(content) // 1024} for name, content in files.items()}
    for threads in (1, 2):
        nets = {name: Interpreter(model_content=content, num_threads=threads) for name, content in files.items()}
        for net in nets.values():
            net.allocate_tensors()
            detail = net.get_input_details()[0]
            net.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        times: dict[str, list[float]] = {name: [] for name in nets}
        for turn in range(ROUNDS):
            for name in nets if turn % 2 else reversed(nets):
                times[name] += _times(nets[name])
        for name, values in times.items():
            rows[name][f"ms, {threads} threads"] = round(statistics.median(values), 4)
    if REFERENCE in rows:
        for row in rows.values():
            for threads in (1, 2):
                key = f"ms, {threads} threads"
                row[f"ratio, {threads} threads"] = round(row[key] / rows[REFERENCE][key], 3)
    return list(rows.values())


def _times(net: Any) -> list[float]:
    """Milliseconds of some runs behind one that warms the caches."""
    net.invoke()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        net.invoke()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def _accuracies(config: Config, path: Path) -> list[dict[str, Any]]:
    """Validation mIoU of each candidate after a short training; written after each, since it takes long."""
    if config.data is None:
        raise SystemExit("--step accuracy needs --data DIR, a folder of portraits with masks")
    rows: list[dict[str, Any]] = list(csv.DictReader(path.open())) if path.exists() else []
    dataset = open_data(config.data, None, seed=0)
    for name, table in CANDIDATES.items():
        if any(row["net"] == name for row in rows):
            continue
        settings = TrainConfig(arch=_register(table), size=config.size, epochs=config.epochs, data=config.data)
        with tempfile.TemporaryDirectory() as folder:
            keras.backend.clear_session()
            card = Trainer(settings, dataset, Path(folder)).fit()
        rows.append({"net": name, "size": config.size, "epochs": config.epochs, "mIoU": round(card.metrics["miou"], 2)})
        _write(path, rows)
    return rows


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
