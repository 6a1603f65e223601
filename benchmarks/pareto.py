"""Accuracy against int8 latency of trained nets, as a table and a picture.

    python benchmarks/pareto.py runs/*/*-int8.tflite --data PORTRAITS

All files take turns on this machine in one run; `--onto pareto.csv` adds to the table of an earlier one. Architectures without a trained
file are drawn by their latency alone, from results/int8_speed.csv, as marks on the lower edge; their latencies are scaled by those of the
architectures that both runs measured.
"""

import csv
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from portraitseg import benchmark
from portraitseg.card import Card, card_path
from portraitseg.data.sources import open_data
from portraitseg.files import atomic
from portraitseg.optional import require
from portraitseg.publish.labels import label

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """int8 files with their cards; files without a card take pictures in [0,1]."""
    data: Path
    """Folder of portraits with masks; its validation part is what counts."""
    threads: int = 2
    """Of the CPU."""
    runs: int = 200
    """Measured runs of each file."""
    speed: Path | None = RESULTS / "int8_speed.csv"
    """Table of benchmarks/int8_speed.py; none: architectures without a trained file are left out."""
    onto: Path | None = None
    """Table of an earlier run, which is kept: of the files, those of nets that it holds only tell how much faster or slower this machine
    is, the others are added, with latencies scaled by that."""
    device: str = ""
    """Processor that the picture names: with --onto, that of the earlier run (default: this machine's)."""
    title: str = "Grey: latency alone, not trained here"
    """Of the picture."""
    out: Path = RESULTS / "pareto.csv"
    """Table to write; the picture goes beside it as .png."""


def main(config: Config) -> None:
    """Measure, then write pareto.csv and pareto.png."""
    settings = benchmark.Settings(threads=config.threads, runs=config.runs, input_range="0..1")
    benchmark.check(config.models, settings)
    earlier = _read(config.onto) if config.onto else []
    rows = benchmark.measure(config.models, settings, lambda plan: tqdm(plan, desc="latency", unit="process"))
    measured = dict(zip(_names(config.models), zip(config.models, rows, strict=True), strict=True))
    pace = _pace({row["net"]: row["ms"] for row in earlier}, {name: row.p50_ms for name, (_, row) in measured.items()})
    for row in earlier:
        measured.pop(row["net"], None)
    paths = [path for path, _ in measured.values()]
    scores = benchmark.accuracy(paths, open_data(config.data, None, seed=0).val, settings, lambda r: tqdm(r, desc="accuracy"))
    table = earlier + [
        {
            "net": name,
            "own": _own(path),
            "ms": round(row.p50_ms * pace, 3),
            "mIoU": round(score["miou"], 2),
            "KB": round(row.file_mb * 1024),
        }
        for (name, (path, row)), score in zip(measured.items(), scores, strict=True)
    ]
    best = 0.0
    for row in sorted(table, key=lambda row: (row["ms"], -row["mIoU"])):
        row["front"] = row["mIoU"] > best  # no other is both faster and better
        best = max(best, row["mIoU"])
    with atomic(config.out) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["net", "own", "ms", "mIoU", "KB", "front"])
        writer.writeheader()
        writer.writerows(sorted(table, key=lambda row: row["ms"]))
    _draw(table, _untrained(config, table), config, config.device or rows[0].device)
    print(config.out.read_text())


def _names(paths: tuple[Path, ...]) -> list[str]:
    """The arch, and of several of it the width where it is not 1; of other projects' files the file's name."""
    cards = [Card.load(card_path(path)) if _own(path) else None for path in paths]
    archs = [card.arch for card in cards if card]
    return [
        path.stem if card is None else card.arch if archs.count(card.arch) == 1 or card.wm == 1 else f"{card.arch} {card.wm:g}"
        for path, card in zip(paths, cards, strict=True)
    ]


def _own(path: Path) -> bool:
    return card_path(path).is_file()


def _untrained(config: Config, table: list[dict[str, Any]]) -> dict[str, float]:
    """Milliseconds of the archs that no file stands for."""
    if config.speed is None:
        return {}
    with config.speed.open() as file:
        known = {row["net"]: float(row["int8_ms"]) for row in csv.DictReader(file) if int(row["threads"]) == config.threads}
    pace = _pace({row["net"]: row["ms"] for row in table}, known)
    return {name: ms * pace for name, ms in known.items() if name not in {row["net"] for row in table}}


def _pace(here: dict[str, float], there: dict[str, float]) -> float:
    """Median of `here` over `there`, both in milliseconds, over the nets in both; 1 where none is."""
    shared = [ms / there[name] for name, ms in here.items() if name in there]
    return statistics.median(shared) if shared else 1.0


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open() as file:
        lines = list(csv.DictReader(file))
    return [
        {"net": line["net"], "own": line["own"] == "True", "ms": float(line["ms"]), "mIoU": float(line["mIoU"]), "KB": int(line["KB"])}
        for line in lines
    ]


def _draw(table: list[dict[str, Any]], untrained: dict[str, float], config: Config, device: str) -> None:
    require("matplotlib", extra="train").use("Agg")
    plt = require("matplotlib.pyplot", extra="train")
    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    front = sorted((row for row in table if row["front"]), key=lambda row: row["ms"])
    axes.step([row["ms"] for row in front], [row["mIoU"] for row in front], where="post", color="tab:blue", alpha=0.4, label="Pareto front")
    for own, whose, marker in ((True, "portraitseg, int8", "o"), (False, "other projects' files", "s")):
        if part := [row for row in table if row["own"] is own]:
            axes.scatter([row["ms"] for row in part], [row["mIoU"] for row in part], marker=marker, label=whose, zorder=3)
    bottom = min(row["mIoU"] for row in table) - 1.5
    for name, ms in untrained.items():
        axes.plot([ms], [bottom], marker="|", color="tab:gray", markersize=12)
        axes.annotate(name, (ms, bottom), xytext=(-3, 8), textcoords="offset points", fontsize=7, color="tab:gray", rotation=90)
    axes.set(xscale="log", xlabel=f"ms, threads: {config.threads}, {device}", ylabel="mIoU on held-out portraits, percent")
    axes.set_title(config.title, fontsize=9)
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="center right")
    label(figure, axes, [(row["ms"], row["mIoU"]) for row in table], [row["net"] for row in table])
    with atomic(config.out.with_suffix(".png")) as temporary:
        figure.savefig(temporary, dpi=120)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
