"""The head: skull, ears, eyes, brows, nose, mouth, glasses."""

import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.drawing import Canvas, Float, Patch, Points, fill, pick, relief, strokes, within
from portraitseg.data.drawn.person import Person
from portraitseg.data.drawn.shapes import capsule, closed_curve, ellipse, mirrored, open_curve

DETAIL = 22  # head height in pixels below which eyes and mouth are no more than smudges


def draw_head(canvas: Canvas, person: Person) -> Patch:
    """Ears, the bare head and its features; returns the head's patch, which beards and hair need."""
    draw_ears(canvas, person)
    skull = fill(person.size, person.head(skull_outline(person)))
    shine = relief(skull, person.light * 1.2, person.unit * 0.22)
    canvas.over(skull, person.skin[:, None, None] * shine)
    if person.unit > DETAIL:
        draw_blush(canvas, person, skull)
        draw_mouth(canvas, person)
        draw_nose(canvas, person)
        draw_eyes(canvas, person, skull)
        draw_brows(canvas, person, skull)
    return skull


def skull_outline(person: Person) -> Points:
    """The head without hair and ears, in head heights."""
    wide, jaw = person.wide, person.jaw
    half = [(0, -1), (0.66 * wide, -0.94), (0.98 * wide, -0.74), (wide, -0.5), (0.9 * wide * jaw, -0.24), (0.5 * wide * jaw, -0.03), (0, 0)]
    outline = mirrored(half)
    outline[:, 0] += 0.05 * np.sin(person.yaw) * np.clip(outline[:, 1] + 0.6, 0, 1)  # the chin leads as the head turns
    return closed_curve(outline)


def draw_ears(canvas: Canvas, person: Person) -> None:
    """Both ears, or the near one of a turned head."""
    sides = [side for side in (-1, 1) if side * person.yaw < 0.25]
    ears = [ellipse(side * person.wide * 1.02, -0.44, 0.06, 0.115, side * 0.2) for side in sides]
    patch = fill(person.size, *[person.head(ear) for ear in ears])
    canvas.over(patch, colours.darker(person.skin, 0.93)[:, None, None] * relief(patch, person.light, person.unit * 0.08))
    inner = [person.head(ellipse(side * person.wide * 1.03, -0.44, 0.025, 0.06, side * 0.2)) for side in sides]
    canvas.shade(fill(person.size, *inner, soft=person.unit * 0.015), 0.75)


def draw_blush(canvas: Canvas, person: Person, skull: Patch) -> None:
    """Warm cheeks, dim eye sockets."""
    soft = person.unit * 0.05
    cheeks = [person.turned(ellipse(side * 0.2, -0.3, 0.09, 0.07)) for side in (-1, 1)]
    warm = np.clip(person.skin * np.array([1.05, 0.82, 0.8], np.float32), 0, 255)
    canvas.atop(within(fill(person.size, *cheeks, soft=soft).scaled(person.rng.uniform(0.1, 0.7)), skull), warm)
    sockets = [person.turned(ellipse(side * 0.16, -0.5, 0.1, 0.06)) for side in (-1, 1)]
    canvas.shade(fill(person.size, *sockets, soft=soft * 0.6), person.rng.uniform(0.75, 0.92))


def draw_eyes(canvas: Canvas, person: Person, skull: Patch) -> None:
    """Whites, irises, pupils with a glint, lids."""
    rng, size = person.rng, person.size
    lid, iris = rng.uniform(0.016, 0.036), rng.uniform(0.026, 0.032)
    gaze = rng.normal(0, 0.012)
    almonds = [_almond(side * 0.16, -0.49, 0.066, lid, side * rng.uniform(-0.1, 0.15)) for side in (-1, 1)]
    whites = within(fill(size, *[person.turned(eye) for eye in almonds]), skull)
    canvas.atop(whites, np.clip(person.skin * 0.25 + 170, 0, 245))
    middles = [(side * 0.16 + gaze, -0.49) for side in (-1, 1)]
    colour = colours.rgb(pick(rng, [0.07, 0.08, 0.55, 0.3]), rng.uniform(0.3, 0.7), rng.uniform(0.15, 0.5))
    canvas.atop(within(fill(size, *[person.turned(ellipse(x, y, iris, iris)) for x, y in middles]), whites), colour)
    canvas.atop(
        within(fill(size, *[person.turned(ellipse(x, y, iris / 2, iris / 2)) for x, y in middles]), whites), np.full(3, 12, np.float32)
    )
    upper = [person.turned(eye[:11]) for eye in almonds]
    makeup = rng.uniform(0.02, 0.05) if rng.random() < 0.4 else 0.014
    canvas.atop(strokes(size, upper, person.unit * makeup).scaled(0.8), colours.darker(person.skin, 0.25))


def _almond(x: float, y: float, half: float, lid: float, slant: float) -> Points:
    """The upper lid from left to right (first 11 points) and the lower one back."""
    steps = np.linspace(-1, 1, 11, dtype=np.float32)
    across = np.concatenate([steps, steps[::-1]])
    bow = np.concatenate([-(1 - steps**2) * lid * 1.2, (1 - steps**2) * lid])
    return np.stack([x + half * across, y + bow - slant * half * across], 1).astype(np.float32)


def draw_brows(canvas: Canvas, person: Person, skull: Patch) -> None:
    """Two bowed bars in the hair's colour."""
    rng = person.rng
    arch, lift, thick = rng.uniform(0.01, 0.05), rng.uniform(-0.62, -0.57), rng.uniform(0.012, 0.04)
    bars = [open_curve([(side * 0.075, lift), (side * 0.16, lift - arch), (side * 0.245, lift + 0.01)]) for side in (-1, 1)]
    lines = strokes(person.size, [person.turned(bar) for bar in bars], person.unit * thick, soft=person.unit * 0.006)
    canvas.atop(within(lines.scaled(rng.uniform(0.5, 0.95)), skull), colours.darker(person.hair * 0.8 + person.skin * 0.1, 0.8))


def draw_nose(canvas: Canvas, person: Person) -> None:
    """The bridge's shaded side, a lit tip, nostrils."""
    rng, size, unit = person.rng, person.size, person.unit
    wide, tip = rng.uniform(0.05, 0.085), rng.uniform(-0.33, -0.28)
    side = -1.0 if person.light[0] > 0 else 1.0
    bridge = [(0, -0.52), (side * 0.035, -0.5), (side * 0.03, -0.4), (side * wide, tip), (0, tip + 0.03)]
    canvas.shade(fill(size, person.turned(bridge, 1.15), soft=unit * 0.015), rng.uniform(0.72, 0.9))
    canvas.atop(
        fill(size, person.turned(ellipse(-side * 0.012, tip - 0.01, 0.022, 0.03), 1.3), soft=unit * 0.02).scaled(0.35), person.skin + 45
    )
    holes = [person.turned(ellipse(s * wide * 0.5, tip + 0.03, 0.019, 0.011), 1.2) for s in (-1, 1)]
    canvas.shade(fill(size, *holes, soft=unit * 0.006), 0.4)
    wings = [
        person.turned(open_curve([(s * wide, tip - 0.03), (s * wide * 1.15, tip + 0.005), (s * wide * 0.7, tip + 0.03)]), 1.15)
        for s in (-1, 1)
    ]
    canvas.shade(strokes(size, wings, unit * 0.012, soft=unit * 0.008), 0.72)


def draw_mouth(canvas: Canvas, person: Person) -> None:
    """Lips, closed or smiling with teeth, and the shadow below."""
    rng, size, unit = person.rng, person.size, person.unit
    half, smile, full = rng.uniform(0.1, 0.15), rng.uniform(-0.015, 0.045), rng.uniform(0.014, 0.04)
    opened = max(0.0, rng.normal(0.0, 0.035)) if smile > 0 else 0.0
    steps = np.linspace(-1, 1, 9, dtype=np.float32)
    line = np.stack([steps * half, -0.165 + smile * (0.5 - steps**2)], 1)
    bow = (1 - steps**2).astype(np.float32)
    cupid = bow * (1 - 0.35 * np.exp(-((steps / 0.2) ** 2)))
    upper, lower = line - _down(cupid * full), line + _down(bow * (full * 1.3 + opened))
    canvas.shade(fill(size, person.turned(ellipse(0, -0.1 + opened, half * 0.6, 0.02)), soft=unit * 0.02), 0.8)
    lips = np.clip(person.skin * np.array([0.95, 0.68, 0.68], np.float32) + rng.uniform(0, 40) * np.array([1, -0.3, 0], np.float32), 0, 255)
    canvas.atop(fill(size, person.turned(np.concatenate([upper, lower[::-1]]))).scaled(rng.uniform(0.5, 1.0)), lips)
    if opened > 0.01:
        gap = np.concatenate([line, (line + _down(bow * opened))[::-1]])
        canvas.atop(fill(size, person.turned(gap)), np.full(3, pick(rng, [40, 225, 235]), np.float32))
    else:
        canvas.shade(strokes(size, [person.turned(line)], unit * 0.014), 0.45)


def _down(amount: Float) -> Points:
    return np.stack([np.zeros_like(amount), amount], 1)


def draw_glasses(canvas: Canvas, person: Person) -> None:
    """Rims, bridge, temples; clear, tinted or dark lenses."""
    rng, size, unit = person.rng, person.size, person.unit
    across, down, box = rng.uniform(0.1, 0.135), rng.uniform(0.07, 0.115), rng.uniform(1.0, 1.35)
    lenses = [person.turned(_lens(side * 0.165, -0.485, across, down, box), 1.05) for side in (-1, 1)]
    dark = rng.random() < 0.3
    tint = colours.rgb(rng.random(), rng.uniform(0, 0.4), rng.uniform(0.03, 0.2) if dark else 0.9)
    glass = fill(size, *lenses)
    canvas.atop(glass.scaled(rng.uniform(0.75, 0.97) if dark else rng.uniform(0.05, 0.2)), tint)
    glare = fill(size, *[lens[8:15] for lens in lenses], soft=unit * 0.01)
    canvas.atop(within(glare, glass).scaled(rng.uniform(0, 0.3)), np.full(3, 250, np.float32))
    rims = [np.concatenate([lens, lens[:1]]) for lens in lenses]
    bar = person.turned([(-0.07, -0.5), (0, -0.515), (0.07, -0.5)], 1.1)
    temples = [person.turned([(side * 0.29, -0.5), (side * person.wide * 1.07, -0.48)]) for side in (-1, 1)]
    frame_colour = colours.rgb(rng.random(), rng.uniform(0, 0.6), pick(rng, [0.05, 0.15, 0.5, 0.8]))
    canvas.over(strokes(size, [*rims, bar, *temples], unit * rng.uniform(0.012, 0.04)), frame_colour)


def _lens(x: float, y: float, rx: float, ry: float, box: float) -> Points:
    """From an ellipse (`box` 1) to a rounded rectangle (more)."""
    ring: Points = np.clip(ellipse(0, 0, 1, 1) * box, -1, 1) * (rx, ry) + (x, y)
    return ring


def draw_jewellery(canvas: Canvas, person: Person) -> None:
    """Earrings: hoops, drops or studs, on the ears that can be seen."""
    rng = person.rng
    colour = colours.rgb(pick(rng, [0.13, 0.0, rng.random()]), rng.uniform(0, 0.7), rng.uniform(0.6, 1.0))
    long, wide = rng.uniform(0.02, 0.16), rng.uniform(0.015, 0.05)
    top = np.array([person.wide * 1.04, -0.34], np.float32)
    drops = []
    for side in (-1.0, 1.0):
        if side * person.yaw < 0.25:
            end = person.head([(side * top[0], top[1] + long)])[0]
            drops.append(capsule(person.head([(side * top[0], top[1])])[0], end, person.unit * 0.012, person.unit * wide))
    patch = fill(person.size, *drops)
    canvas.over(patch, colour[:, None, None] * relief(patch, person.light * 2, person.unit * 0.05))
