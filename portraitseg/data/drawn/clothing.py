"""Torso, neck and what is worn on them, in the body's frame: head heights from the pit of the neck."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.cloth import cloth, on
from portraitseg.data.drawn.drawing import (
    Canvas,
    Float,
    Patch,
    Points,
    capsule,
    closed_curve,
    ellipse,
    fill,
    mirrored,
    open_curve,
    pick,
    relief,
    strokes,
    within,
)
from portraitseg.data.drawn.person import Person


class Top(NamedTuple):
    """What is worn above the waist."""

    neck: str
    """The neckline, a name in NECKLINES, or "straps" or "bare" for bare shoulders."""
    sleeve: float
    """Share of the arm that it covers."""
    details: tuple[str, ...] = ()
    """Names in DETAILS, each worn for sure."""
    maybe: tuple[str, ...] = ()
    """Names in DETAILS, each worn at times."""


# fmt: off
TOPS = {
    "t-shirt":     Top("round",  0.45, (),                          ("logo", "lanyard", "bag")),
    "jumper":      Top("round",  1.00, ("hem",),                    ("logo", "scarf", "necklace")),
    "v-neck":      Top("vee",    0.90, (),                          ("necklace", "lanyard")),
    "turtleneck":  Top("high",   1.00, (),                          ("necklace", "bag")),
    "boat":        Top("boat",   0.35, (),                          ("necklace",)),
    "blouse":      Top("vee",    1.00, ("collar", "buttons"),       ("necklace",)),
    "shirt":       Top("narrow", 1.00, ("collar", "buttons"),       ("tie", "lanyard", "braces", "pocket")),
    "polo":        Top("narrow", 0.40, ("collar",),                 ("logo",)),
    "suit":        Top("narrow", 1.00, ("front", "collar", "lapels"), ("tie", "tie", "pocket")),
    "open jacket": Top("round",  1.00, ("front", "lapels"),         ("scarf", "necklace", "bag")),
    "hoodie":      Top("round",  1.00, ("hood", "cords"),           ("logo", "zip")),
    "coat":        Top("high",   1.00, ("collar", "zip"),           ("scarf", "bag")),
    "tank":        Top("straps", 0.00, (),                          ("necklace", "logo")),
    "strapless":   Top("bare",   0.00, (),                          ("necklace",)),
    "apron":       Top("round",  0.45, ("apron",),                  ()),
}
# y of the neckline's deepest point and how far it opens sideways
NECKLINES = {"round": (0.14, 0.24), "vee": (0.5, 0.24), "boat": (0.1, 0.48), "narrow": (0.14, 0.16), "high": (0.12, 0.16)}
# fmt: on


def draw_torso(canvas: Canvas, person: Person, top: Top) -> Patch:
    """Legs if they can be seen, trunk, neck; returns the trunk's patch."""
    size = person.size
    if person.body([(0, 2.0)])[0, 1] < size:
        draw_legs(canvas, person)
    patch = fill(size, person.body(torso_outline(person)), soft=0.3)
    lit = relief(patch, person.light, person.unit * 0.35)
    bare = top.neck in ("straps", "bare")
    canvas.over(patch, on(patch, person.skin if bare else person.cloth) * lit)
    draw_neck(canvas, person, top)
    if bare:
        _draw_bodice(canvas, person, patch, lit, top)
    return patch


def torso_outline(person: Person) -> Points:
    """Shoulders to hips, without arms."""
    rng, wide = person.rng, person.shoulders
    slope, waist, hip = rng.uniform(0.02, 0.16), rng.uniform(0.6, 0.85), rng.uniform(0.75, 0.92)
    half = [
        (0.2, -0.14),
        (0.42 * wide, -0.02),
        (0.8 * wide, slope),
        (0.96 * wide, 0.2 + slope),
        (0.92 * wide, 0.8),
        (waist * wide, 1.6),
        (hip * wide, 2.5),
    ]
    return closed_curve(mirrored([*half, (hip * wide * 1.02, 3.0), (0, 3.1)]), 4)


def draw_legs(canvas: Canvas, person: Person) -> None:
    """Trousers, or bare legs under a skirt, down to the shoes."""
    rng = person.rng
    material = cloth(rng, person.size, person.unit, colours.cloth(rng), plain=0.8)
    shoe, skirt = colours.cloth(rng), rng.random() < 0.35
    for side in (-1, 1):
        hip, foot = person.body([(side * 0.4, 2.6), (side * rng.uniform(0.3, 0.6), 6.0)])
        thick = person.unit * (0.25 if skirt else 0.42)
        patch = fill(person.size, capsule(hip, foot, thick, person.unit * (0.11 if skirt else 0.2)), soft=0.3)
        canvas.over(patch, on(patch, person.skin if skirt else material) * relief(patch, person.light, person.unit * 0.25))
        canvas.over(
            fill(
                person.size,
                capsule(foot, foot + np.array([side, 1], np.float32) * person.unit * 0.2, person.unit * 0.15, person.unit * 0.12),
            ),
            shoe,
        )
    if skirt:
        low, flare = rng.uniform(3.4, 5.4), rng.uniform(0.7, 1.2)
        patch = fill(person.size, person.body([(-0.7, 2.0), (0.7, 2.0), (flare, low), (-flare, low)]), soft=0.3)
        canvas.over(patch, material.on(patch) * relief(patch, person.light, person.unit * 0.25))


def draw_neck(canvas: Canvas, person: Person, top: Top) -> None:
    """The neck and the skin that the neckline leaves free, with the chin's shadow."""
    wide = person.wide * person.rng.uniform(0.58, 0.78)
    low, side = NECKLINES.get(top.neck, (0.2, 0.3))
    neck = [person.head([(-wide, -0.3)])[0], person.head([(wide, -0.3)])[0]]
    opening = [
        (wide, -0.12),
        (max(side, wide) + 0.02, -0.04),
        (side * 0.6, low * 0.75),
        (0, low),
        (-side * 0.6, low * 0.75),
        (-max(side, wide) - 0.02, -0.04),
        (-wide, -0.12),
    ]
    outline = np.concatenate([np.stack(neck), person.body(opening)])
    patch = fill(person.size, outline, soft=0.3)
    tone = colours.darker(person.skin, 0.93)[:, None, None]
    if top.neck == "high":
        tone = person.cloth.times(0.93).on(patch)
    canvas.over(patch, tone * relief(patch, person.light, person.unit * 0.15))
    shadow = fill(person.size, person.head(ellipse(-0.08 * np.sign(person.light[0]), -0.02, wide * 1.05, 0.16)), soft=person.unit * 0.05)
    canvas.shade(shadow, person.rng.uniform(0.5, 0.8))


def _draw_bodice(canvas: Canvas, person: Person, torso: Patch, lit: Float, top: Top) -> None:
    """A garment that begins at the chest, with straps or none."""
    rng, edge = person.rng, person.rng.uniform(0.45, 0.8)
    dip = rng.uniform(0, 0.15)
    below = person.body(
        [(-2, edge), (-0.6, edge), (-0.3, edge - dip), (0, edge + dip), (0.3, edge - dip), (0.6, edge), (2, edge), (2, 4), (-2, 4)]
    )
    patch = within(fill(person.size, below), torso)
    canvas.atop(patch, person.cloth.on(patch) * lit[_inside(torso, patch)])
    if top.neck == "straps":
        x = rng.uniform(0.3, 0.55)
        straps = [open_curve(person.body([(s * x, edge + 0.05), (s * x * 1.05, 0.3), (s * x * 0.95, -0.02)])) for s in (-1, 1)]
        canvas.atop(within(strokes(person.size, straps, person.unit * rng.uniform(0.04, 0.2)), torso), person.cloth.ground)


def _inside(outer: Patch, inner: Patch) -> tuple[slice, slice]:
    """Where the inner patch lies in an array of the outer one's shape."""
    rows = slice(inner.rows.start - outer.rows.start, inner.rows.stop - outer.rows.start)
    return rows, slice(inner.cols.start - outer.cols.start, inner.cols.stop - outer.cols.start)


def draw_details(canvas: Canvas, person: Person, top: Top, torso: Patch) -> None:
    """Folds, and what is worn on the garment."""
    _draw_folds(canvas, person, torso)
    chosen = [name for name in dict.fromkeys(top.maybe) if person.rng.random() < 0.22 * top.maybe.count(name)]
    for name in (*top.details, *chosen):
        DETAILS[name](canvas, person, torso)


def _draw_folds(canvas: Canvas, person: Person, torso: Patch) -> None:
    rng, wide = person.rng, person.shoulders
    start = np.stack([rng.choice([-1, 1], 7) * rng.uniform(0.5, 0.9, 7) * wide, rng.uniform(0.3, 2.2, 7)], 1)
    end = start * np.array([rng.uniform(0.2, 0.7), 1.0]) + np.stack([np.zeros(7), rng.normal(0.1, 0.3, 7)], 1)
    lines = [person.body(open_curve([a, (a + b) / 2 + (0, 0.08), b], 4)) for a, b in zip(start, end, strict=True)]
    patch = strokes(person.size, lines, person.unit * 0.05, soft=person.unit * 0.035)
    canvas.shade(within(patch, torso), rng.uniform(0.6, 0.9))


def _draw_collar(canvas: Canvas, person: Person, torso: Patch) -> None:
    rng = person.rng
    point, spread = rng.uniform(0.22, 0.4), rng.uniform(0.12, 0.35)
    for side in (-1, 1):
        flap = person.body([(side * x, y) for x, y in [(0.2, -0.22), (0.32, -0.08), (spread, point), (0.02, 0.16), (0.12, 0.0)]])
        patch = fill(person.size, flap)
        canvas.over(patch, person.cloth.on(patch) * relief(patch, person.light * 1.5, person.unit * 0.08) * np.float32(1.06))
        canvas.shade(strokes(person.size, [flap[1:4]], person.unit * 0.012), 0.6)


def _draw_buttons(canvas: Canvas, person: Person, torso: Patch) -> None:
    canvas.shade(strokes(person.size, [person.body([(0.03, 0.15), (0.03, 3)])], person.unit * 0.012), 0.7)
    spots = [person.body(ellipse(0, y, 0.025, 0.025)) for y in np.arange(0.35, 2.6, 0.38)]
    canvas.atop(fill(person.size, *spots), colours.cloth(person.rng))


def _draw_front(canvas: Canvas, person: Person, torso: Patch) -> None:
    """The shirt that an open jacket shows."""
    rng = person.rng
    half = [(0.18, -0.1), (rng.uniform(0.2, 0.5), 0.5), (rng.uniform(0.1, 0.6), 1.3), (rng.uniform(0.0, 0.7), 3.2)]
    gap = person.body(mirrored(half)[[0, 1, 2, 3, 4, 5, 6, 7]])
    neck = person.body([(-0.16, -0.12), (0.16, -0.12), (0, 0.16)])
    material = cloth(rng, person.size, person.unit * 0.6, colours.cloth(rng), plain=0.65)
    patch = within(fill(person.size, gap, holes=[neck]), torso)
    canvas.atop(patch, material.on(patch))


def _draw_lapels(canvas: Canvas, person: Person, torso: Patch) -> None:
    rng = person.rng
    wide, low = rng.uniform(0.36, 0.6), rng.uniform(0.8, 1.5)
    shape = [(0.2, -0.16), (0.34, -0.02), (wide, 0.4), (wide - 0.1, 0.48), (0.14, low), (0.2, 0.4), (0.24, 0.1)]
    for side in (-1, 1):
        outline = person.body(np.array(shape, np.float32) * np.array([side, 1], np.float32))
        patch = fill(person.size, outline)
        canvas.over(patch, person.cloth.on(patch) * relief(patch, person.light * 1.5, person.unit * 0.1) * np.float32(1.05))
        canvas.shade(strokes(person.size, [outline[1:6]], person.unit * 0.014), 0.6)


def _draw_tie(canvas: Canvas, person: Person, torso: Patch) -> None:
    rng, wide = person.rng, person.rng.uniform(0.08, 0.16)
    material = cloth(rng, person.size, person.unit * 0.4, colours.cloth(rng), rng.uniform(0, 1), plain=0.4)
    if rng.random() < 0.25:
        outlines = [[(0, 0.14), (s * 0.2, 0.03), (s * 0.2, 0.25)] for s in (-1, 1)]
    else:
        outlines = [
            [(-0.07, 0.02), (0.07, 0.02), (0.045, 0.18), (-0.045, 0.18)],
            [(-0.04, 0.16), (0.04, 0.16), (wide, 1.6), (0, 1.75), (-wide, 1.6)],
        ]
    patch = within(fill(person.size, *[person.body(outline) for outline in outlines]), torso)
    canvas.atop(patch, material.on(patch))


def _draw_logo(canvas: Canvas, person: Person, torso: Patch) -> None:
    """A print on the chest: a blot, or lines of writing."""
    rng = person.rng
    x, y, half = rng.normal(0, 0.15), rng.uniform(0.6, 1.0), rng.uniform(0.12, 0.42)
    colour = colours.cloth(rng)
    if rng.random() < 0.5:
        blot = closed_curve(ellipse(x, y, half, half * rng.uniform(0.5, 1.0)) + rng.normal(0, half * 0.12, (20, 2)).astype(np.float32), 2)
        canvas.atop(within(fill(person.size, person.body(blot)), torso), colour)
    letters = [
        person.body([(x - half + i * half / 4, y + rng.normal(0, 0.05)), (x - half + (i + 0.7) * half / 4, y + 0.1)]) for i in range(8)
    ]
    canvas.atop(within(strokes(person.size, letters, person.unit * rng.uniform(0.02, 0.06)), torso), colours.cloth(rng))


def _draw_scarf(canvas: Canvas, person: Person, torso: Patch) -> None:
    rng = person.rng
    material = cloth(rng, person.size, person.unit * 0.6, colours.cloth(rng), rng.uniform(0, 1.5), plain=0.4)
    ring = person.body(closed_curve([(-0.42, -0.14), (0, -0.24), (0.42, -0.14), (0.44, 0.08), (0.1, 0.24), (-0.2, 0.22), (-0.44, 0.08)]))
    side = rng.uniform(-0.3, 0.3)
    tail = person.body([(side - 0.14, 0.1), (side + 0.14, 0.1), (side + 0.2, rng.uniform(0.7, 2)), (side - 0.14, rng.uniform(0.7, 2))])
    for outline in (tail, ring):
        patch = fill(person.size, outline, soft=0.4)
        canvas.over(patch, material.on(patch) * relief(patch, person.light, person.unit * 0.12))


def _draw_necklace(canvas: Canvas, person: Person, torso: Patch) -> None:
    rng = person.rng
    low = rng.uniform(0.08, 0.7)
    chain = open_curve([(-0.24, -0.1), (-0.18, low * 0.6), (0, low), (0.18, low * 0.6), (0.24, -0.1)])
    gold = colours.rgb(pick(rng, [0.13, 0.12, rng.random()]), rng.uniform(0, 0.7), rng.uniform(0.5, 1))
    canvas.atop(strokes(person.size, [person.body(chain)], person.unit * rng.uniform(0.01, 0.05)), gold)
    canvas.atop(fill(person.size, person.body(ellipse(0, low + 0.03, 0.04, 0.05))), gold)


def _draw_lanyard(canvas: Canvas, person: Person, torso: Patch) -> None:
    ribbon = [person.body([(side * 0.24, -0.05), (side * 0.02, 1.2)]) for side in (-1, 1)]
    canvas.atop(strokes(person.size, ribbon, person.unit * 0.05), colours.cloth(person.rng))
    canvas.atop(fill(person.size, person.body([(-0.16, 1.2), (0.16, 1.2), (0.16, 1.65), (-0.16, 1.65)])), np.full(3, 235, np.float32))


def _draw_braces(canvas: Canvas, person: Person, torso: Patch) -> None:
    lines = [person.body([(side * 0.42, -0.05), (side * 0.4, 2.6)]) for side in (-1, 1)]
    canvas.atop(within(strokes(person.size, lines, person.unit * 0.09), torso), colours.cloth(person.rng))


def _draw_bag(canvas: Canvas, person: Person, torso: Patch) -> None:
    """A strap across the chest, or a rucksack's two."""
    rng, side = person.rng, pick(person.rng, [-1, 1])
    lines = [person.body([(side * 0.4, -0.05), (-side * 0.75, 2.2)])]
    if rng.random() < 0.5:
        lines = [person.body(open_curve([(s * 0.5, -0.02), (s * 0.55, 0.5), (s * 0.8, 1.1)])) for s in (-1, 1)]
    canvas.atop(within(strokes(person.size, lines, person.unit * rng.uniform(0.07, 0.16)), torso), colours.cloth(rng) * 0.8)


def _draw_pocket(canvas: Canvas, person: Person, torso: Patch) -> None:
    box = person.body([(0.25, 0.75), (0.5, 0.75), (0.5, 1.05), (0.25, 1.05), (0.25, 0.75)])
    canvas.shade(within(strokes(person.size, [box], person.unit * 0.014), torso), 0.65)


def _draw_zip(canvas: Canvas, person: Person, torso: Patch) -> None:
    canvas.atop(within(strokes(person.size, [person.body([(0, 0.1), (0.02, 3)])], person.unit * 0.03), torso), colours.cloth(person.rng))


def _draw_hem(canvas: Canvas, person: Person, torso: Patch) -> None:
    ring = person.body(open_curve([(-0.26, -0.08), (-0.16, 0.11), (0, 0.17), (0.16, 0.11), (0.26, -0.08)]))
    canvas.shade(within(strokes(person.size, [ring], person.unit * 0.06), torso), 0.75)


def _draw_hood(canvas: Canvas, person: Person, torso: Patch) -> None:
    """A hood that lies on the shoulders."""
    for side in (-1, 1):
        fold = [(0.14, -0.3), (0.4, -0.28), (0.52, -0.05), (0.34, 0.2), (0.08, 0.3), (0.2, 0.0)]
        patch = fill(person.size, person.body(closed_curve(np.array(fold, np.float32) * np.array([side, 1], np.float32))), soft=0.4)
        canvas.over(patch, person.cloth.on(patch) * relief(patch, person.light * 1.3, person.unit * 0.12))


def _draw_cords(canvas: Canvas, person: Person, torso: Patch) -> None:
    rng = person.rng
    lines = [person.body([(side * 0.12, 0.2), (side * rng.uniform(0.1, 0.16), rng.uniform(0.5, 0.9))]) for side in (-1, 1)]
    canvas.atop(strokes(person.size, lines, person.unit * 0.03), colours.cloth(rng))


def _draw_apron(canvas: Canvas, person: Person, torso: Patch) -> None:
    material = cloth(person.rng, person.size, person.unit, colours.cloth(person.rng), plain=0.7)
    bib = person.body(
        [
            (-0.2, -0.08),
            (-0.3, 0.45),
            (0.3, 0.45),
            (0.2, -0.08),
            (0.26, -0.08),
            (0.42, 0.45),
            (0.6, 1.3),
            (0.6, 3.2),
            (-0.6, 3.2),
            (-0.6, 1.3),
            (-0.42, 0.45),
            (-0.26, -0.08),
        ]
    )
    patch = within(fill(person.size, bib), torso)
    canvas.atop(patch, material.on(patch))


DETAILS: dict[str, Callable[[Canvas, Person, Patch], None]] = {
    "collar": _draw_collar,
    "buttons": _draw_buttons,
    "front": _draw_front,
    "lapels": _draw_lapels,
    "tie": _draw_tie,
    "logo": _draw_logo,
    "scarf": _draw_scarf,
    "necklace": _draw_necklace,
    "lanyard": _draw_lanyard,
    "braces": _draw_braces,
    "bag": _draw_bag,
    "pocket": _draw_pocket,
    "zip": _draw_zip,
    "hem": _draw_hem,
    "hood": _draw_hood,
    "cords": _draw_cords,
    "apron": _draw_apron,
}
