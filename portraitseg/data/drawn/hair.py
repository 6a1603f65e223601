"""Hair and beards: a soft mass, strands that leave it, and strands on it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.drawing import Canvas, Patch, Points, fill, pick, relief, strokes, within
from portraitseg.data.drawn.person import Person
from portraitseg.data.drawn.shapes import closed_curve, ellipse, mirrored


class Style(NamedTuple):
    """A haircut, in head heights (y: 0 the chin, -1 the crown)."""

    volume: float
    """How far it stands off the skull."""
    hairline: float
    """y of the forehead's edge."""
    sides: float
    """y down to which it covers the temples."""
    length: float
    """y of the lower end of the hair behind the head; None of it above -0.3."""
    flare: float
    """Width of that lower end, relative to the head's."""
    curl: float
    """Height of the bumps of its outline."""
    fringe: float
    """How far the hair falls over the forehead."""
    knot: str = ""
    """What is tied: "bun" on top, "pony" to one side, "tails" on both."""


# fmt: off
#                       volume hairline sides length flare  curl  fringe knot
STYLES = {
    "buzz":      Style( 0.012, -0.80, -0.60, -0.50, 1.00, 0.000, 0.00),
    "short":     Style( 0.055, -0.78, -0.52, -0.45, 1.00, 0.010, 0.02),
    "quiff":     Style( 0.110, -0.82, -0.58, -0.45, 1.00, 0.020, 0.00),
    "messy":     Style( 0.100, -0.74, -0.48, -0.30, 1.05, 0.035, 0.08),
    "receding":  Style( 0.035, -0.93, -0.46, -0.40, 1.00, 0.008, 0.00),
    "fringe":    Style( 0.080, -0.80, -0.36, -0.15, 1.12, 0.008, 0.17),
    "bob":       Style( 0.080, -0.80, -0.30,  0.02, 1.30, 0.010, 0.05),
    "shoulder":  Style( 0.075, -0.79, -0.34,  0.38, 1.40, 0.020, 0.03),
    "long":      Style( 0.070, -0.80, -0.34,  0.95, 1.55, 0.018, 0.02),
    "very long": Style( 0.060, -0.81, -0.36,  1.50, 1.70, 0.015, 0.06),
    "waves":     Style( 0.110, -0.79, -0.32,  0.60, 1.85, 0.060, 0.03),
    "curly":     Style( 0.170, -0.76, -0.36, -0.02, 1.45, 0.060, 0.05),
    "afro":      Style( 0.300, -0.80, -0.40, -0.12, 1.60, 0.040, 0.00),
    "bun":       Style( 0.045, -0.81, -0.50, -0.35, 1.00, 0.006, 0.00, "bun"),
    "ponytail":  Style( 0.045, -0.81, -0.48, -0.35, 1.00, 0.008, 0.02, "pony"),
    "pigtails":  Style( 0.050, -0.79, -0.46, -0.35, 1.00, 0.008, 0.08, "tails"),
}
# fmt: on
LONG = 0.2  # y of the lower end from which on locks fall in front of the shoulders


def draw_back(canvas: Canvas, person: Person, style: Style) -> None:
    """What hangs behind head and shoulders, with knots and tails."""
    if style.knot:
        _draw_knots(canvas, person, style)
    if style.length < -0.3:
        return
    wide, low = person.wide + style.volume, style.length
    end = person.wide * style.flare * person.rng.uniform(0.85, 1.1)
    half = [
        (0, -1 - style.volume),
        (0.75 * wide, -0.9),
        (wide * 1.02, -0.55),
        (0.5 * (wide + end), 0.5 * (low - 0.55)),
        (end, low - 0.1),
        (0.6 * end, low),
    ]
    outline = _bumpy(person, closed_curve(mirrored([*half, (0, low * 0.9)])), style.curl)
    patch = _mass(canvas, person, [person.head(outline)], 0.72)
    _draw_flow(canvas, person, patch, (-end, end), (-0.9, low))
    _draw_strays(canvas, person, outline, style)


def draw_cap(canvas: Canvas, person: Person, style: Style) -> None:
    """What covers the skull, around the face."""
    outline = _cap_outline(person, style)
    patch = _mass(canvas, person, [outline], 1.0)
    _draw_flow(canvas, person, patch, (-person.wide - style.volume, person.wide + style.volume), (-1.0 - style.volume, style.sides + 0.05))
    if style.volume > 0.02:
        _draw_strays(canvas, person, _crown_outline(person, style), style)


def draw_locks(canvas: Canvas, person: Person, style: Style) -> None:
    """Locks of long hair that fall in front of one shoulder or both."""
    rng, wide = person.rng, person.wide + style.volume * 0.7
    outlines = []
    for side in (-1.0, 1.0):
        if rng.random() < 0.6:
            low, end = style.length * rng.uniform(0.6, 1.05), wide * rng.uniform(0.75, 1.15)
            inner = wide * rng.uniform(0.5, 0.72)
            lock = [
                (wide, -0.75),
                (wide * 1.05, -0.3),
                (end + 0.08, low * 0.6),
                (end, low),
                (end - 0.12, low - 0.05),
                (inner, low * 0.4),
                (wide * 0.86, -0.35),
            ]
            outlines.append(_bumpy(person, closed_curve(np.array(lock, np.float32) * np.array([side, 1], np.float32)), style.curl * 0.6))
    if outlines:
        patch = _mass(canvas, person, [person.head(outline) for outline in outlines], 0.95)
        _draw_flow(canvas, person, patch, (-wide * 1.2, wide * 1.2), (-0.8, style.length))
        for outline in outlines:
            _draw_strays(canvas, person, outline, style, count=14)


def draw_beard(canvas: Canvas, person: Person, skull: Patch) -> None:
    """A shadow, a moustache, a goatee, or a beard that may hang below the chin."""
    rng, size, unit = person.rng, person.size, person.unit
    kind = pick(rng, ["stubble", "stubble", "moustache", "goatee", "full", "full"])
    colour = colours.darker(person.hair, 0.9)
    wide, jaw = person.wide, person.jaw
    lip = [(0, -0.235), (0.1, -0.22), (0.15, -0.15), (0.13, -0.12), (0.1, -0.185), (0, -0.195)]
    if kind in ("moustache", "goatee"):
        canvas.atop(fill(size, person.turned(closed_curve(mirrored(lip))), soft=unit * 0.008), colour)
    if kind == "goatee":
        canvas.atop(fill(size, person.turned(ellipse(0, -0.05, 0.11, 0.075)), soft=unit * 0.012), colour)
    if kind in ("stubble", "full"):
        low = rng.uniform(0.0, 0.3) if kind == "full" else -0.01
        half = [(wide * 0.99, -0.5), (wide * 0.92 * jaw, -0.2), (wide * 0.55 * jaw, low * 0.7), (0, low), (0, -0.245)]
        cheek = [(0.13, -0.22), (wide * 0.72, -0.3), (wide * 0.88, -0.48)]
        outline = np.concatenate([half, cheek, *[[(-x, y) for x, y in reversed(part)] for part in (cheek, half[:-1])]])
        mouth = person.turned(ellipse(0, -0.155, 0.1, 0.03))
        patch = fill(size, person.head(_bumpy(person, outline.astype(np.float32), 0.012)), holes=[mouth], soft=unit * 0.015)
        if kind == "stubble":
            canvas.atop(within(patch, skull).scaled(rng.uniform(0.15, 0.5)), colour)
        else:
            canvas.over(patch, colour[:, None, None] * relief(patch, person.light, unit * 0.2))
            _draw_flow(canvas, person, patch, (-wide, wide), (-0.4, low + 0.05))


def _mass(canvas: Canvas, person: Person, outlines: Sequence[Points], bright: float) -> Patch:
    patch = fill(person.size, *outlines, soft=person.unit * 0.008)
    canvas.over(patch, colours.darker(person.hair, bright)[:, None, None] * relief(patch, person.light * 1.2, person.unit * 0.3, 1.3))
    return patch


def _crown_outline(person: Person, style: Style) -> Points:
    """The cap's outer edge, left to right over the crown, in head heights."""
    wide, off = person.wide, style.volume
    outer = [
        (-wide - off * 0.5, style.sides),
        (-wide - off, -0.68),
        (-0.72 * wide - off * 0.8, -0.93 - off * 0.6),
        (0, -1.0 - off),
        (0.72 * wide + off * 0.8, -0.93 - off * 0.6),
        (wide + off, -0.68),
        (wide + off * 0.5, style.sides),
    ]
    return _bumpy(person, closed_curve(outer)[: 6 * 6 + 1], style.curl)


def _cap_outline(person: Person, style: Style) -> Points:
    """The whole cap in pixels: the crown, and back along the hairline, which turns with the face."""
    wide, rng = person.wide, person.rng
    part = rng.uniform(-0.2, 0.2)
    line, fall = style.hairline + rng.normal(0, 0.015), style.fringe * rng.uniform(0.5, 1.2)
    right, left = (fall, fall * 0.6) if part < 0 else (fall * 0.6, fall)
    edge = [
        (wide * 0.97, style.sides + 0.02),
        (wide * 0.9, max(line + 0.1, style.sides - 0.15)),
        (wide * 0.72, line + 0.07 + right),
        ((part + wide) * 0.4, line + right),
        (part, line - 0.02 + min(left, right) * 0.8),
        ((part - wide) * 0.4, line + left),
        (-wide * 0.72, line + 0.07 + left),
        (-wide * 0.9, max(line + 0.1, style.sides - 0.15)),
        (-wide * 0.97, style.sides + 0.02),
    ]
    inner = _bumpy(person, closed_curve(edge)[: 8 * 6 + 1], 0.006 + style.curl * 0.3 + style.fringe * 0.05)
    return np.concatenate([person.head(_crown_outline(person, style)), person.turned(inner)])


def _bumpy(person: Person, outline: Points, height: float) -> Points:
    """The outline with bumps of about `height` away from the middle of the head."""
    if not height:
        return outline
    away = outline - np.array([0, -0.5], np.float32)
    away /= np.maximum(np.hypot(away[:, 0], away[:, 1]), 0.1)[:, None]
    bumps = np.convolve(person.rng.standard_normal(len(outline) + 4), (0.14, 0.4, 0.55, 0.4, 0.14), "valid") * height
    return outline + away * bumps[:, None].astype(np.float32)


def _draw_strays(canvas: Canvas, person: Person, outline: Points, style: Style, count: int = 80) -> None:
    """Thin strands that leave the mass: up and outwards from short hair, along and down from long hair."""
    rng = person.rng
    starts = outline[rng.integers(0, len(outline), count)]
    away = starts - np.array([0, -0.5], np.float32)
    away /= np.maximum(np.hypot(away[:, 0], away[:, 1]), 0.1)[:, None]
    long = np.clip((starts[:, 1:] + 0.6) * 0.9, 0, 0.9)
    along = np.stack([-away[:, 1], away[:, 0]], 1) * np.where(rng.random((count, 1)) < 0.5, -0.9, 0.9)
    step = (0.45 * away + along) * (1 - 0.85 * long) + np.array([0, 1], np.float32) * long + rng.normal(0, 0.25, (count, 2))
    reach = np.minimum(rng.gamma(2.0, 0.016 + style.curl * 0.3 + min(style.volume, 0.1) * 0.1, (count, 1)), 0.12) + 0.03 * long
    t = np.linspace(0, 1, 5, dtype=np.float32)[None, :, None]
    bend = rng.normal(0, 0.6 + style.curl * 10, (count, 1, 2)) * reach[:, None]
    lines = starts[:, None] - away[:, None] * 0.02 + step[:, None] * reach[:, None] * t + bend * t**2
    pixels = person.head(lines.reshape(-1, 2).astype(np.float32)).reshape(count, 5, 2)
    patch = strokes(person.size, pixels, max(0.55, person.unit * 0.006))
    canvas.over(patch.scaled(rng.uniform(0.4, 0.95)), colours.darker(person.hair, rng.uniform(0.85, 1.25)))


def _draw_flow(canvas: Canvas, person: Person, patch: Patch, across: tuple[float, float], down: tuple[float, float]) -> None:
    """Lit and dim strands on the mass, running from the parting outwards and down."""
    rng, count = person.rng, 26
    end = np.stack([rng.uniform(*across, count), rng.uniform(down[0] * 0.4 + down[1] * 0.6, down[1], count)], 1)
    start = np.stack([end[:, 0] * rng.uniform(0.2, 0.7, count), np.full(count, down[0])], 1)
    middle = np.stack([end[:, 0] * 0.95, 0.6 * start[:, 1] + 0.4 * end[:, 1]], 1)
    t = np.linspace(0, 1, 7, dtype=np.float32)[None, :, None]
    lines = start[:, None] * (1 - t) ** 2 + 2 * middle[:, None] * t * (1 - t) + end[:, None] * t**2
    lines += rng.normal(0, 0.012, lines.shape)
    pixels = person.head(lines.reshape(-1, 2).astype(np.float32)).reshape(count, 7, 2)
    width = max(0.7, person.unit * 0.014)
    canvas.atop(within(strokes(person.size, pixels[::2], width), patch).scaled(0.35), np.clip(person.hair * 1.5 + 18, 0, 255))
    canvas.shade(within(strokes(person.size, pixels[1::2], width * 1.3), patch), 0.68)


def _draw_knots(canvas: Canvas, person: Person, style: Style) -> None:
    rng = person.rng
    side = pick(rng, [-1.0, 1.0])
    if style.knot == "bun":
        radius = rng.uniform(0.12, 0.22)
        outlines = [closed_curve(ellipse(side * rng.uniform(0, 0.15), -1.0 - radius * 0.5, radius * 1.1, radius), 2)]
    else:
        sides = [side] if style.knot == "pony" else [-1.0, 1.0]
        low = rng.uniform(0.0, 0.9)
        bow = person.wide + rng.uniform(0.1, 0.3)
        tail = [
            (0.2, -0.8),
            (bow, -0.72),
            (bow + 0.1, -0.3),
            (bow, low),
            (bow - 0.1, low + 0.05),
            (bow - 0.18, -0.2),
            (person.wide - 0.05, -0.5),
        ]
        outlines = [closed_curve(np.array(tail, np.float32) * np.array([s, 1], np.float32)) for s in sides]
    outlines = [_bumpy(person, outline, 0.012) for outline in outlines]
    patch = _mass(canvas, person, [person.head(outline) for outline in outlines], 0.85)
    _draw_flow(canvas, person, patch, (-0.6, 0.6), (-1.1, -0.2))
    for outline in outlines:
        _draw_strays(canvas, person, outline, style, count=18)
