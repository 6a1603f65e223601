"""A net's stages as a drawing: one box a stage, the picture's resolution from top to bottom, skips as dashed arrows."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from portraitseg.archs.summary import Source, Stage
from portraitseg.errors import InputError
from portraitseg.files import atomic, refuse_existing
from portraitseg.optional import require

COLUMN, ROW = 1.85, 1.15
WIDTH, HEIGHT = 1.5, 0.66
"""Of a box; all in units of 0.75 inch, y downwards."""
UNIT = 0.75
COLOURS = {"image": "#e3e3e3", "enc": "#cfe2f7", "dec": "#fbdcb4", "head": "#cdebcb"}
INK, SKIP = "#333333", "#2b6cb0"
ARROW = {"arrowstyle": "-|>", "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10}
LEGEND = "in a box: part · channels, parameters · multiply-adds; dashed: skips with their channels"
Point = tuple[float, float]


def check(path: Path, *, force: bool) -> None:
    """Refuse what `write` would refuse, before the net is built.

    Raises:
        InputError: the suffix is not one of WRITERS, or the file exists.
    """
    if path.suffix.lower() not in WRITERS:
        raise InputError(f"a diagram ends in {' or '.join(WRITERS)}, got {str(path)!r}; rename it")
    refuse_existing(path, force=force)


def write(path: Path, stages: Sequence[Stage], title: str, *, force: bool = False) -> None:
    """Write the drawing as PNG (.png) or as text for Mermaid (.mmd), whole or not at all.

    Raises:
        InputError: another suffix, the file exists, or it cannot be written.
        ImportError: .png, and matplotlib is not installed.
    """
    check(path, force=force)
    WRITERS[path.suffix.lower()](path, stages, title)


def _write_text(path: Path, stages: Sequence[Stage], title: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(mermaid(stages, title), encoding="utf-8")


def mermaid(stages: Sequence[Stage], title: str) -> str:
    """A Mermaid flowchart: the way through the net in full lines, skips dotted and labelled with their channels."""
    number = {stage.name: index for index, stage in enumerate(stages)}
    lines = ["---", f"title: {title}", "---", "flowchart LR"]
    lines += [f'  s{index}["{stage.name}<br/>{_shape(stage)}"]' for index, stage in enumerate(stages)]
    for index, stage in enumerate(stages):
        for source in stage.sources:
            arrow = "-->" if number[source.stage] == index - 1 else f"-. {source.channels} .->"
            lines.append(f"  s{number[source.stage]} {arrow} s{index}")
    for part, colour in COLOURS.items():
        members = ",".join(f"s{index}" for index, stage in enumerate(stages) if stage.name.startswith(part))
        lines += [f"  classDef {part} fill:{colour},stroke:{INK}", *([f"  class {members} {part}"] if members else [])]
    return "\n".join(lines) + "\n"


def draw(path: Path, stages: Sequence[Stage], title: str) -> None:
    """The drawing as PNG.

    Raises:
        ImportError: matplotlib is not installed.
        InputError: it cannot be written.
    """
    places = _places(stages)
    right, bottom = places[-1][0] + WIDTH / 2 + 0.3, max(y for _, y in places) + HEIGHT / 2 + 0.6
    left, top = -WIDTH / 2 - 1.3, -HEIGHT / 2 - 0.75
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(UNIT * (right - left), UNIT * (bottom - top)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axis("off")
    axes.text(left + 0.2, top + 0.3, title, fontsize=11, fontweight="bold", color=INK, va="center")
    axes.text(left + 0.2, bottom - 0.2, LEGEND, fontsize=8, color="#777777", va="center")
    _levels(axes, stages, places, left, right)
    _arrows(axes, stages, places)
    for stage, place in zip(stages, places, strict=True):
        _box(axes, stage, place)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=130)


def _places(stages: Sequence[Stage]) -> list[Point]:
    """Centre of each box: a column each, its row by its resolution."""
    sizes = sorted({stage.size for stage in stages}, reverse=True)
    return [(COLUMN * column, ROW * sizes.index(stage.size)) for column, stage in enumerate(stages)]


def _levels(axes: Any, stages: Sequence[Stage], places: Sequence[Point], left: float, right: float) -> None:
    """A faint line for each resolution, named at the left."""
    full = stages[0].size[0]
    for (height, width), y in dict(zip((stage.size for stage in stages), (y for _, y in places), strict=True)).items():
        axes.plot((left + 1.15, right - 0.1), (y, y), color="#eeeeee", linewidth=1, zorder=0)
        axes.text(left + 0.2, y, f"1/{full // height}\n{height}x{width}", fontsize=8, color="#777777", va="center")


def _box(axes: Any, stage: Stage, place: Point) -> None:
    x, y = place
    patches = require("matplotlib.patches", extra="plot")
    colour = next((colour for part, colour in COLOURS.items() if stage.name.startswith(part)), "#ffffff")
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    style = {"boxstyle": "round,pad=0,rounding_size=0.08", "facecolor": colour, "edgecolor": INK, "linewidth": 0.8, "zorder": 3}
    axes.add_patch(patches.FancyBboxPatch(corner, WIDTH, HEIGHT, **style))
    text = {"ha": "center", "va": "center", "color": INK, "zorder": 4}
    shift = 0.14 if stage.sources else 0.0
    axes.text(x, y - shift, f"{stage.name.split(' ')[0]} · {stage.channels}", fontsize=9.5, fontweight="bold", **text)
    if shift:
        axes.text(x, y + 0.16, _cost(stage), fontsize=7.5, **text)


def _arrows(axes: Any, stages: Sequence[Stage], places: Sequence[Point]) -> None:
    column = {stage.name: index for index, stage in enumerate(stages)}
    used: dict[float, int] = {}
    for index, stage in enumerate(stages):
        for source in stage.sources:
            start = column[source.stage]
            if start == index - 1:
                _flow(axes, places[start], places[index])
            else:
                _skip(axes, _route(places, start, index, used), source)


def _flow(axes: Any, start: Point, end: Point) -> None:
    """An arrow to the next box: level, or from a corner to the next one's corner, clear of the skips."""
    (x1, y1), (x2, y2) = start, end
    side = (y2 > y1) - (y2 < y1)  # 1: down
    inset = 0.15 * abs(side)
    head, tail = (x2 - WIDTH / 2 + inset, y2 - side * HEIGHT / 2), (x1 + WIDTH / 2 - inset, y1 + side * HEIGHT / 2)
    axes.annotate("", head, tail, arrowprops=ARROW | {"color": INK}, zorder=2)


def _skip(axes: Any, route: Sequence[Point], source: Source) -> None:
    """A dashed line over the corners of `route`, an arrow at its end, the channels on its longest level stretch."""
    axes.plot(*zip(*route, strict=True), color=SKIP, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    (x1, y1), (x2, y2) = route[-2:]
    length = abs(x2 - x1) + abs(y2 - y1)
    near = (x2 - (x2 - x1) * 0.15 / length, y2 - (y2 - y1) * 0.15 / length)
    axes.annotate("", (x2, y2), near, arrowprops=ARROW | {"color": SKIP}, zorder=2)
    level = [(abs(b[0] - a[0]), (a[0] + b[0]) / 2, a[1]) for a, b in itertools.pairwise(route) if a[1] == b[1]]
    _, x, y = max(level)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.text(x, y, str(source.channels), fontsize=8, color=SKIP, ha="center", va="center", bbox=box, zorder=2)


def _route(places: Sequence[Point], start: int, end: int, used: dict[float, int]) -> list[Point]:
    """Corners of a skip's line that touches no box: along the row of its start where that is free, else between two rows."""
    (x1, y1), (x2, y2) = places[start], places[end]
    free = all(y != y1 for _, y in places[start + 1 : end])
    if free and y1 == y2:
        return [(x1 + WIDTH / 2, y1), (x2 - WIDTH / 2, y2)]
    side = HEIGHT / 2 if y2 < y1 else -HEIGHT / 2
    if free:
        return [(x1 + WIDTH / 2, y1), (x2, y1), (x2, y2 + side)]
    used[y1] = used.get(y1, 0) + 1
    lane = y1 - HEIGHT / 2 - 0.1 * (1 + used[y1] % 4)  # a gap has room for four lines side by side
    return [(x1, y1 - HEIGHT / 2), (x1, lane), (x2, lane), (x2, y2 + side)]


def _shape(stage: Stage) -> str:
    return f"{stage.size[0]}x{stage.size[1]}x{stage.channels}"


def _cost(stage: Stage) -> str:
    """Parameters and multiply-adds, or, where there are none, what is done."""
    if not stage.params and not stage.macs:
        return ", ".join(stage.ops)
    return f"{_short(stage.params).strip()} · {_short(stage.macs)}MAC"


def _short(value: int) -> str:
    """1234567 -> "1.2 M"."""
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= limit:
            return f"{value / limit:.{0 if value >= 100 * limit else 1}f} {unit}"
    return f"{value} "


WRITERS: dict[str, Callable[[Path, Sequence[Stage], str], None]] = {".png": draw, ".mmd": _write_text}
