"""What is worn on the head; it belongs to the figure."""

from collections.abc import Callable

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.cloth import Cloth, cloth, on
from portraitseg.data.drawn.drawing import Canvas, Float, Points, Rows, fill, pick, relief, strokes, within
from portraitseg.data.drawn.person import Person
from portraitseg.data.drawn.shapes import closed_curve, ellipse, mirrored, open_curve


def draw_beanie(canvas: Canvas, person: Person) -> None:
    """A knitted cap with ribs and a turned-up band."""
    rng, material = person.rng, _material(person)
    top = rng.uniform(-1.25, -1.06)
    dome = _dome(person, top, rng.uniform(-0.76, -0.68), 0.04)
    _lay(canvas, person, [dome], material, 0.3)
    ribs = [open_curve(person.head([(x * 0.4, top + 0.03), (x * 1.02, -0.95), (x * 1.05, -0.72)])) for x in np.linspace(-0.36, 0.36, 11)]
    canvas.shade(within(strokes(person.size, ribs, person.unit * 0.012), fill(person.size, dome)), 0.8)
    if rng.random() < 0.6:
        wide = person.wide + 0.055
        band = [(-wide, -0.82), (0, -0.86), (wide, -0.82), (wide, -0.66), (0, -0.71), (-wide, -0.66)]
        _lay(canvas, person, [person.head(band)], material.times(rng.uniform(0.75, 1.15)), 0.1)


def draw_cap(canvas: Canvas, person: Person) -> None:
    """A baseball cap: dome, visor, a badge at times."""
    rng, material = person.rng, _material(person)
    _lay(canvas, person, [_dome(person, -1.08, -0.72, 0.03)], material, 0.3)
    wide = person.wide
    visor = [(-wide * 0.95, -0.76), (-0.2, -0.81), (0.2, -0.81), (wide * 0.95, -0.76), (0.25, -0.64), (0, -0.62), (-0.25, -0.64)]
    canvas.shade(fill(person.size, person.turned(ellipse(0, -0.62, wide * 0.8, 0.07), 1.2), soft=person.unit * 0.04), 0.55)
    _lay(canvas, person, [person.turned(closed_curve(visor), 1.5)], material.times(rng.uniform(0.6, 1.1)), 0.1)
    if rng.random() < 0.5:
        canvas.atop(fill(person.size, person.turned(ellipse(0, -0.9, 0.07, 0.06), 1.1)), colours.cloth(rng))


def draw_brim(canvas: Canvas, person: Person) -> None:
    """A hat with a brim all around and a ribbon."""
    rng, material = person.rng, _material(person)
    wide, tall = person.wide + rng.uniform(0.2, 0.55), rng.uniform(-1.35, -1.12)
    brim = ellipse(0, -0.8, wide, rng.uniform(0.06, 0.16))
    canvas.shade(fill(person.size, person.head(ellipse(0, -0.7, person.wide, 0.12)), soft=person.unit * 0.05), 0.6)
    _lay(canvas, person, [person.head(brim)], material.times(0.8), 0.1)
    crown = [(person.wide * 0.75, tall), (person.wide * 0.95, tall + 0.15), (person.wide * 1.05, -0.82), (0, -0.76)]
    outline = closed_curve(mirrored(crown))
    _lay(canvas, person, [person.head(outline)], material, 0.25)
    ribbon = person.head([(-0.5, -0.92), (0.5, -0.92), (0.5, -0.83), (0, -0.78), (-0.5, -0.83)])
    canvas.atop(within(fill(person.size, ribbon), fill(person.size, person.head(outline))), colours.cloth(rng))


def draw_headscarf(canvas: Canvas, person: Person) -> None:
    """A scarf around face, neck and shoulders."""
    material = _material(person)
    wide = person.wide
    hole = [(0, -0.82), (0.6 * wide, -0.78), (0.86 * wide, -0.5), (0.76 * wide, -0.15), (0.3 * wide, 0.03), (0, 0.04)]
    opening = person.turned(closed_curve(mirrored(hole)))
    patch = fill(person.size, person.head(_scarf_outline(person)), holes=[opening])
    canvas.over(patch, material.on(patch) * relief(patch, person.light, person.unit * 0.2))
    folds = [open_curve([(s * wide * 0.7, -0.1), (s * 0.2, 0.2 + 0.1 * i), (-s * 0.25, 0.3 + 0.12 * i)]) for i, s in enumerate((1, -1, 1))]
    canvas.shade(within(strokes(person.size, [person.head(f) for f in folds], person.unit * 0.03, soft=person.unit * 0.02), patch), 0.65)


def draw_hood(canvas: Canvas, person: Person) -> None:
    """The hood of a jacket, pulled up."""
    wide = person.wide
    hole = [(0, -0.92), (0.75 * wide, -0.86), (1.0 * wide, -0.5), (0.9 * wide, -0.1), (0.5 * wide, 0.2), (0, 0.28)]
    opening = person.turned(closed_curve(mirrored(hole)))
    patch = fill(person.size, person.head(_hood_outline(person)), holes=[opening])
    canvas.shade(strokes(person.size, [opening], person.unit * 0.06, soft=person.unit * 0.03), 0.5)
    canvas.over(patch, on(patch, person.cloth) * relief(patch, person.light, person.unit * 0.2))


def draw_back(canvas: Canvas, person: Person, outline: Callable[[Person], Points]) -> None:
    """The inside of a scarf or a hood, behind the head."""
    patch = fill(person.size, person.head(outline(person)))
    canvas.over(patch, person.cloth.times(0.35).on(patch))


def _scarf_outline(person: Person) -> Points:
    wide = person.wide
    half = [
        (0, -1.08),
        (0.8 * wide + 0.04, -1.0),
        (wide + 0.08, -0.6),
        (wide + 0.09, -0.2),
        (wide + 0.2, 0.3),
        (0.5, 0.55),
        (0.2, 0.75),
        (0, 0.8),
    ]
    return closed_curve(mirrored(half))


def _hood_outline(person: Person) -> Points:
    wide = person.wide
    half = [(0, -1.16), (0.8 * wide + 0.08, -1.05), (wide + 0.15, -0.6), (wide + 0.14, -0.1), (wide + 0.05, 0.3), (0, 0.35)]
    return closed_curve(mirrored(half))


def draw_turban(canvas: Canvas, person: Person) -> None:
    """Bands of cloth wound around the head."""
    material, wide = _material(person), person.wide
    half = [(0, -1.3), (0.7 * wide + 0.1, -1.22), (wide + 0.14, -0.95), (wide + 0.05, -0.68), (0.5 * wide, -0.74), (0, -0.8)]
    outline = person.head(closed_curve(mirrored(half)))
    _lay(canvas, person, [outline], material, 0.25)
    bands = [
        open_curve(person.head([(s * (wide + 0.1), -0.75 - i * 0.09), (0, -0.85 - i * 0.13), (-s * wide, -1.0 - i * 0.1)]))
        for i in range(3)
        for s in (-1, 1)
    ]
    canvas.shade(within(strokes(person.size, bands, person.unit * 0.018), fill(person.size, outline)), 0.65)


def draw_headphones(canvas: Canvas, person: Person) -> None:
    """A bow over the head and two cups."""
    rng, off = person.rng, person.rng.uniform(0.05, 0.14)
    colour = colours.rgb(rng.random(), rng.uniform(0, 0.5), pick(rng, [0.08, 0.15, 0.85]))
    wide = person.wide + 0.04
    bow = open_curve(person.head([(-wide, -0.5), (-wide - 0.02, -0.75), (0, -1.0 - off), (wide + 0.02, -0.75), (wide, -0.5)]))
    canvas.over(strokes(person.size, [bow], person.unit * rng.uniform(0.03, 0.07)), colour)
    cups = [person.head(ellipse(side * wide, -0.45, rng.uniform(0.05, 0.09), rng.uniform(0.11, 0.16))) for side in (-1, 1)]
    _lay(canvas, person, cups, colour, 0.1)


def draw_headband(canvas: Canvas, person: Person) -> None:
    """A band across forehead or crown."""
    rng, high = person.rng, person.rng.uniform(-0.95, -0.75)
    wide = person.wide + 0.05
    band = [
        (-wide, high + 0.12),
        (0, high - 0.02),
        (wide, high + 0.12),
        (wide, high + 0.2),
        (0, high + rng.uniform(0.05, 0.1)),
        (-wide, high + 0.2),
    ]
    _lay(canvas, person, [closed_curve(person.head(band), 3)], _material(person), 0.1)


HATS: dict[str, Callable[[Canvas, Person], None]] = {
    "beanie": draw_beanie,
    "cap": draw_cap,
    "brim": draw_brim,
    "headscarf": draw_headscarf,
    "hood": draw_hood,
    "turban": draw_turban,
    "headphones": draw_headphones,
    "headband": draw_headband,
}
OVER_HAIR = ("headphones", "headband")  # worn on the hair; the others hide what covers the skull
BACKS = {"headscarf": _scarf_outline, "hood": _hood_outline}  # what also lies behind the head
HIDES_ALL = ("headscarf", "hood", "turban")  # no hair hangs out


def _material(person: Person) -> Cloth:
    """The garment's own cloth, or another one."""
    if person.rng.random() < 0.2:
        return person.cloth
    return cloth(person.rng, person.size, person.unit * 0.7, colours.cloth(person.rng), plain=0.7)


def _dome(person: Person, top: float, line: float, off: float) -> Points:
    """From ear to ear over the crown, closed along the brow, in pixels."""
    wide = person.wide + off
    half: Rows = [(0, top), (0.7 * wide, top * 0.5 - 0.47), (wide, -0.78), (wide * 1.02, line + 0.06)]
    crown = closed_curve(np.concatenate([mirrored(half)[3::-1], mirrored(half)[:3:-1]]))[:-6]
    brow = person.turned([(-0.9 * wide, line + 0.05), (-0.4 * wide, line), (0.4 * wide, line), (0.9 * wide, line + 0.05)])
    return np.concatenate([person.head(crown), brow])


def _lay(canvas: Canvas, person: Person, outlines: list[Points], material: Cloth | Float, radius: float) -> None:
    patch = fill(person.size, *outlines, soft=0.3)
    canvas.over(patch, on(patch, material) * relief(patch, person.light, person.unit * radius))
