"""Torso, neck and what is worn on them, in the body's frame: head heights from the pit of the neck."""

from typing import NamedTuple

import numpy as np

from portraitseg.data.drawn import colours, details
from portraitseg.data.drawn.cloth import cloth, on
from portraitseg.data.drawn.drawing import Canvas, Float, Patch, Points, fill, relief, strokes, within
from portraitseg.data.drawn.person import Person
from portraitseg.data.drawn.shapes import capsule, closed_curve, ellipse, mirrored, open_curve


class Top(NamedTuple):
    """What is worn above the waist."""

    neck: str
    """The neckline, a name in NECKLINES, or "straps" or "bare" for bare shoulders."""
    sleeve: float
    """Share of the arm that it covers."""
    details: tuple[str, ...] = ()
    """Names in details.DETAILS, each worn for sure."""
    maybe: tuple[str, ...] = ()
    """Names in details.DETAILS, each worn at times."""


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
    details.draw_folds(canvas, person, torso)
    chosen = [name for name in dict.fromkeys(top.maybe) if person.rng.random() < 0.22 * top.maybe.count(name)]
    for name in (*top.details, *chosen):
        details.DETAILS[name](canvas, person, torso)
