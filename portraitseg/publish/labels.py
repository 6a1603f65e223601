"""Names of the points of a plot."""

from collections.abc import Sequence
from typing import Any


def label(
    figure: Any, axes: Any, points: Sequence[tuple[float, float]], names: Sequence[str], others: Sequence[tuple[float, float]] = ()
) -> None:
    """Name each point, with a line to it, at the nearest place where the name covers no other name and no point, nor one of `others`."""
    figure.draw_without_rendering()
    taken = [axes.transData.transform(point) for point in (*points, *others)]
    style = {"textcoords": "offset points", "va": "center", "fontsize": 8}
    boxes: list[Any] = []
    for point, name in zip(points, names, strict=True):
        for dx, dy, side in _places():
            note = axes.annotate(name, point, (dx, dy), ha=side, **style)
            box = note.get_window_extent().padded(2)
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in boxes) and not any(box.contains(*place) for place in taken):
                break
            note.remove()
        else:  # no room anywhere: better over another name than missing
            note, dy = axes.annotate(name, point, (8, 0), **style), 0
        boxes.append(note.get_window_extent().padded(2))
        if dy:
            axes.annotate("", point, (dx, dy), arrowprops={"arrowstyle": "-", "alpha": 0.3}, **style)


def _places() -> list[tuple[int, int, str]]:
    """Offsets in points and alignments to try, the nearest first."""
    heights = [0, *(sign * step for step in range(12, 200, 12) for sign in (1, -1))]
    return [(sign * 8, height, side) for height in heights for sign, side in ((1, "left"), (-1, "right"))]
