"""What is worn on a garment: collars, lapels, ties, scarves, straps; in the body's frame."""

from collections.abc import Callable

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.cloth import cloth
from portraitseg.data.drawn.drawing import Canvas, Patch, fill, pick, relief, strokes, within
from portraitseg.data.drawn.person import Person
from portraitseg.data.drawn.shapes import closed_curve, ellipse, mirrored, open_curve


def draw_folds(canvas: Canvas, person: Person, torso: Patch) -> None:
    """Dim lines from the arms inwards."""
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
