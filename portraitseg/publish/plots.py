"""The pictures of a folder's README: mIoU against milliseconds, and mIoU by subset."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portraitseg.files import atomic
from portraitseg.optional import require
from portraitseg.publish.folder import Model, Published
from portraitseg.publish.labels import label
from portraitseg.publish.measured import Estimate, Measured

ACCURACY, SUBSETS = "accuracy.png", "subsets.png"
MARKS = {"fp32": "o", "fp16": "^", "int8": "s", "dynamic": "v", "int16x8": "P"}
"""Precision -> mark of its points. fp16 is drawn where there is no fp32: on a processor it computes the same."""
COLOURS = (*(f"C{number}" for number in range(10) if number != 7), "navy", "gold", "darkgreen")
"""Of the architectures; C7 is grey, the colour of others."""
TICKS = (0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 200, 500)
"""Milliseconds to write on the axis."""


def draw(published: Published, folder: Path) -> None:
    """Write both pictures; the second one where there are subsets.

    Raises:
        ImportError: matplotlib is not installed.
    """
    _save(_accuracy(published), folder / ACCURACY)
    if published.models[0].measured.subsets:
        _save(_subsets(published), folder / SUBSETS)


def _save(figure: Any, path: Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _nets(models: Sequence[Model]) -> dict[str, list[Model]]:
    """The .tflite files by the net that they hold, the most exact first."""
    shown = [model for model in models if model.path.suffix == ".tflite"]
    plain = {model.card.name for model in shown if model.card.quant == "fp32"}
    shown = [model for model in shown if model.card.quant != "fp16" or model.card.name not in plain]
    nets = {name: [model for model in shown if model.card.name == name] for name in dict.fromkeys(model.card.name for model in shown)}
    return {name: sorted(files, key=lambda model: list(MARKS).index(model.card.quant)) for name, files in nets.items()}


def _accuracy(published: Published) -> Any:
    """A point each file: its colour the architecture, its mark the precision; a line joins the files of one net."""
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(11, 7), layout="constrained")
    axes = figure.add_subplot()
    nets = _nets(published.models)
    colours = dict(zip(dict.fromkeys(files[0].card.arch for files in nets.values()), itertools.cycle(COLOURS), strict=False))
    for files in nets.values():
        colour = colours[files[0].card.arch]
        axes.plot(*zip(*(_place(model.measured) for model in files), strict=True), color=colour, alpha=0.4, lw=1)
        for model in files:
            _point(axes, model.measured, color=colour, marker=MARKS[model.card.quant])
    for item in published.peers.values():
        _point(axes, item, color="0.5", marker="D")
    named = {name: _place(files[-1].measured) for name, files in nets.items()}
    named |= {Path(name).stem: _place(item) for name, item in published.peers.items()}
    first = published.models[0].measured
    _axes(axes, f"{first.pictures} pictures of {first.data}; {first.latency[0].device}")
    used = {model.card.quant for files in nets.values() for model in files}
    _legend(figure, axes, colours, [quant for quant in MARKS if quant in used], published)
    others = [_place(model.measured) for files in nets.values() for model in files[:-1]]
    label(figure, axes, list(named.values()), list(named), others)
    return figure


def _place(item: Measured) -> tuple[float, float]:
    return item.ms(2), item.miou.value


def _point(axes: Any, item: Measured, **style: Any) -> None:
    x, y = _place(item)
    axes.plot([x], [y], ms=6, ls="", zorder=3, **style)
    axes.vlines([x], [item.miou.low], [item.miou.high], color=style["color"], lw=4, alpha=0.15)


def _axes(axes: Any, title: str) -> None:
    axes.set_xscale("log")
    axes.margins(0.12)
    low, high = axes.get_xlim()
    axes.minorticks_off()
    axes.set_xticks(ticks := [tick for tick in TICKS if low <= tick <= high], [f"{tick:g}" for tick in ticks])
    axes.grid(alpha=0.3)
    axes.set_xlabel("milliseconds with 2 threads, median")
    axes.set_ylabel("mIoU (%), 95 % interval")
    axes.set_title(title)


def _legend(figure: Any, axes: Any, colours: dict[str, str], quants: Sequence[str], published: Published) -> None:
    for arch, colour in colours.items():
        axes.plot([], [], color=colour, lw=4, label=arch)
    for quant in quants:
        axes.plot([], [], color="black", marker=MARKS[quant], ls="", label=quant)
    if published.peers:
        axes.plot([], [], color="0.5", marker="D", ls="", label="of others")
    figure.legend(loc="outside right upper", fontsize=8)


def _subsets(published: Published) -> Any:
    """A panel each subset, a line each net, in its smallest precision: a point and its interval. The axis is for our nets."""
    ours = {name: files[-1].measured for name, files in _nets(published.models).items()}
    others = {f"({Path(name).stem})": item for name, item in published.peers.items()}
    rows = dict(sorted((ours | others).items(), key=lambda row: row[1].miou.value))
    subsets = published.models[0].measured.subsets
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(13, 1.4 + 0.3 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(subsets), sharex=True, sharey=True, squeeze=False)[0]
    left = min(kind.miou.low for item in ours.values() for kind in item.subsets.values()) - 1
    for panel, (subset, kind) in zip(panels, subsets.items(), strict=True):
        _panel(panel, [item.subsets[subset].miou for item in rows.values()], ["C0" if name in ours else "0.5" for name in rows], left)
        panel.set_title(f"{subset.replace('_', ' ')} ({kind.pictures})", fontsize=10)
        panel.set_yticks(range(len(rows)), list(rows), fontsize=8)
    figure.supxlabel("mIoU (%), 95 % interval; in brackets: of others", fontsize=9)
    return figure


def _panel(axes: Any, found: Sequence[Estimate], colours: Sequence[str], left: float) -> None:
    """A point and its interval each, from the bottom up; what lies left of the axis is written."""
    heights = range(len(found))
    axes.hlines(heights, [item.low for item in found], [item.high for item in found], colors=colours, lw=2, alpha=0.5)
    axes.scatter([item.value for item in found], heights, color=colours, s=25, zorder=3)
    for height, item in zip(heights, found, strict=True):
        if item.value < left:
            axes.text(left, height, f" \N{LEFTWARDS ARROW} {item.value:.1f}", va="bottom", fontsize=8, color="0.4")
    axes.set_xlim(left=left)
    axes.grid(alpha=0.3)
