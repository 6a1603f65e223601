"""What fills the picture behind everything: BACKGROUNDS, each a function that gives (H,W,3) uint8."""

from collections.abc import Callable

import cv2
import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.cloth import weave
from portraitseg.data.drawn.drawing import Bytes, Float
from portraitseg.data.drawn.scene import Scene, box, disc, line, polygon
from portraitseg.data.drawn.textures import blend, clouds, grid, noise


def to_bytes(planes: Float) -> Bytes:
    """(3,H,W) to (H,W,3), rounded and cut to [0,255]."""
    merged: Bytes = cv2.merge([np.minimum(np.maximum(plane + np.float32(0.5), 0), 255).astype(np.uint8) for plane in planes])
    return merged


def plain(scene: Scene) -> Bytes:
    """One colour, as a studio's paper."""
    return np.full((scene.size, scene.size, 3), np.round(scene.wall()), np.uint8)


def gradient(scene: Scene) -> Bytes:
    """Two colours that run into each other along a line."""
    x, y = grid(scene.size)
    angle = scene.uniform(0, 6.28)
    ramp: Float = np.clip((x - 0.5) * np.float32(np.cos(angle)) + (y - 0.5) * np.float32(np.sin(angle)) + 0.5, 0, 1)
    return to_bytes(blend(scene.wall(), scene.wall(), ramp))


def spotlight(scene: Scene) -> Bytes:
    """A bright middle, dark corners."""
    x, y = grid(scene.size)
    far = (x - np.float32(scene.uniform(0.2, 0.8))) ** 2 + (y - np.float32(scene.uniform(0.1, 0.7))) ** 2
    colour = scene.wall()
    return to_bytes(blend(colour, colour * np.float32(scene.uniform(0.1, 0.5)), np.minimum(far * np.float32(scene.uniform(1, 4)), 1)))


def plaster(scene: Scene) -> Bytes:
    """A rough or stained wall."""
    field = clouds(scene.rng, scene.size, int(scene.rng.integers(2, 24)), 4)
    return to_bytes(scene.wall()[:, None, None] * (1 + np.float32(scene.uniform(0.02, 0.2)) * field))


def marbled(scene: Scene) -> Bytes:
    """Two colours in clouds: painted backdrops, smoke, stone."""
    field = clouds(scene.rng, scene.size, int(scene.rng.integers(2, 9)), 4)
    return to_bytes(blend(scene.colour(), scene.colour(), np.clip(field * np.float32(scene.uniform(0.2, 0.8)) + 0.5, 0, 1)))


def wallpaper(scene: Scene) -> Bytes:
    """A pattern that clothes have too."""
    angle = 0.0 if scene.chance(0.6) else scene.uniform(0, 3)
    pattern = weave(scene.rng, scene.size * scene.uniform(0.03, 0.25), angle)
    weight = pattern.weight(scene.size, slice(None), slice(None)) * np.float32(scene.uniform(0.3, 1))
    return to_bytes(blend(scene.wall(), scene.colour(), weight))


def bricks(scene: Scene) -> Bytes:
    """Courses of bricks, each of its own shade."""
    rows = int(scene.rng.integers(6, 22))
    columns = max(2, rows // 2)
    shades = scene.rng.normal(1, 0.1, (rows, 2 * columns)).astype(np.float32).repeat(2, 1)[:, : 2 * columns]
    shades[1::2] = np.roll(shades[1::2], 1, 1)
    wide = cv2.resize(shades, (scene.size, scene.size), interpolation=cv2.INTER_NEAREST)
    image = to_bytes(
        (colours.rgb(scene.uniform(0.0, 0.1), scene.uniform(0.1, 0.6), scene.uniform(0.3, 0.85)) if scene.chance(0.7) else scene.wall())[
            :, None, None
        ]
        * wide
    )
    mortar = scene.wall()
    for row in range(rows):
        line(image, [(0, row / rows), (1, row / rows)], mortar, 0.006)
        for column in range(columns):
            x = (column + 0.5 * (row % 2)) / columns
            line(image, [(x, row / rows), (x, (row + 1) / rows)], mortar, 0.006)
    return image


def planks(scene: Scene) -> Bytes:
    """Boards, upright or lying."""
    count = int(scene.rng.integers(4, 16))
    shades = cv2.resize(scene.rng.normal(1, 0.09, (1, count)).astype(np.float32), (scene.size, scene.size), interpolation=cv2.INTER_NEAREST)
    grain = noise(scene.rng, scene.size, min(64, count * 5), 0.05)
    image = to_bytes(scene.wood()[:, None, None] * (shades + np.float32(0.06) * grain))
    for board in range(count):
        line(image, [(board / count, 0), (board / count, 1)], scene.near[0] * 0.15, 0.005)
    return image if scene.chance(0.5) else np.ascontiguousarray(image.transpose(1, 0, 2))


def tiles(scene: Scene) -> Bytes:
    """Square tiles with joints."""
    count = int(scene.rng.integers(3, 14))
    shades = scene.rng.normal(1, scene.uniform(0.01, 0.12), (count, count)).astype(np.float32)
    image = to_bytes(scene.wall()[:, None, None] * cv2.resize(shades, (scene.size, scene.size), interpolation=cv2.INTER_NEAREST))
    joint = scene.wall()
    for step in range(count):
        line(image, [(0, step / count), (1, step / count)], joint, 0.008)
        line(image, [(step / count, 0), (step / count, 1)], joint, 0.008)
    return image


def foliage(scene: Scene) -> Bytes:
    """Leaves, near or far."""
    rng = scene.rng
    green = colours.rgb(scene.uniform(0.15, 0.42), scene.uniform(0.3, 0.8), scene.uniform(0.15, 0.6))
    image = to_bytes(green[:, None, None] * (0.6 + np.float32(0.3) * clouds(rng, scene.size, 6, 4)))
    reach = scene.uniform(0.015, 0.07)
    for x, y, length, angle, shade in rng.random((90, 5)):
        disc(image, x, y, reach * (0.5 + length), reach * 0.4, green * (0.3 + 1.3 * shade), angle * 180)
    return image


def landscape(scene: Scene) -> Bytes:
    """Sky, hills, ground."""
    rng, (_, y) = scene.rng, grid(scene.size)
    sky = colours.rgb(scene.uniform(0.5, 0.64), scene.uniform(0.05, 0.6), scene.uniform(0.6, 1.0))
    image = to_bytes(
        blend(
            sky,
            np.clip(sky * 0.6 + 100, 0, 255),
            np.broadcast_to(y, (scene.size, scene.size)) + np.float32(0.12) * clouds(rng, scene.size, 3, 4),
        )
    )
    level, x = scene.uniform(0.3, 0.7), np.linspace(0, 1, 24)
    for _ in range(int(rng.integers(1, 4))):
        ridge = level + np.cumsum(rng.normal(0, 0.02, 24))
        ground = colours.rgb(scene.uniform(0.08, 0.45), scene.uniform(0.1, 0.6), scene.uniform(0.2, 0.8))
        polygon(image, np.concatenate([np.stack([x, ridge], 1), [(1, 1), (0, 1)]]), ground)
        level += scene.uniform(0.05, 0.25)
    return image


def bokeh(scene: Scene) -> Bytes:
    """Lights out of focus."""
    rng = scene.rng
    image = gradient(scene) // 2
    glow = image.copy()
    radius, warm = scene.uniform(0.015, 0.08), scene.uniform(0, 1)
    for x, y, grow, hue in rng.random((30, 4)):
        disc(glow, x, y, radius * (0.6 + grow), radius * (0.6 + grow), colours.rgb(warm + 0.2 * hue, 0.5 * hue, 0.6 + 0.4 * grow))
    mixed: Bytes = cv2.addWeighted(image, 0.4, glow, 0.6, 0)
    return mixed


def city(scene: Scene) -> Bytes:
    """House fronts with windows, the street below."""
    rng = scene.rng
    image = landscape(scene)
    left = -0.05
    while left < 1:
        wide, top = scene.uniform(0.12, 0.4), scene.uniform(-0.1, 0.4)
        box(image, left, top, left + wide, 1, scene.wall())
        columns, rows, pane = int(rng.integers(2, 6)), int(rng.integers(3, 9)), scene.wall() * 0.6
        for row in range(rows):
            for column in range(columns):
                x, y = left + wide * (column + 0.25) / columns, top + (row + 0.3) / rows
                box(image, x, y, x + wide * 0.5 / columns, y + 0.45 / rows, pane)
        left += wide
    box(image, 0, scene.uniform(0.7, 1.1), 1, 1, colours.rgb(0.6, 0.05, scene.uniform(0.25, 0.6)))
    return image


def clutter(scene: Scene) -> Bytes:
    """Things of all shapes and sizes over one another."""
    rng = scene.rng
    image = plain(scene)
    for size in 0.4 * rng.power(0.45, 70)[::-1] + 0.02:
        x, y, kind = rng.random(3)
        if kind < 0.35:
            disc(image, x, y, size, size * rng.uniform(0.3, 1), scene.colour(), rng.uniform(0, 180))
        else:
            corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size * rng.uniform(0.2, 1, 2) + rng.normal(0, size * 0.15, (4, 2))
            polygon(image, corners + np.array([x, y]), scene.colour())
    return image


def curtain(scene: Scene) -> Bytes:
    """Hanging cloth in folds."""
    x, _ = grid(scene.size)
    wave = np.sin(x * np.float32(scene.uniform(20, 90)) + np.float32(3) * noise(scene.rng, scene.size, 5, 0.4))
    return to_bytes(scene.colour()[:, None, None] * (1 + np.float32(scene.uniform(0.06, 0.25)) * wave))


def room(scene: Scene) -> Bytes:
    """Two walls, a floor, a ceiling at times."""
    image = plain(scene)
    corner, level, slope = scene.uniform(-0.1, 1.1), scene.uniform(0.6, 1.0), scene.uniform(-0.15, 0.2)
    side = scene.wall() if scene.chance(0.3) else np.array(image[0, 0], np.float32) * np.float32(scene.uniform(0.75, 0.95))
    polygon(image, [(corner, 0), (1.2, -0.2), (1.2, 1.2), (corner, 1)], side)
    polygon(
        image,
        [(-0.1, level + slope), (corner, level), (1.1, level + slope), (1.1, 1.1), (-0.1, 1.1)],
        scene.wood() if scene.chance(0.6) else scene.colour(),
    )
    if scene.chance(0.4):
        high = scene.uniform(0.02, 0.2)
        polygon(
            image,
            [(-0.1, high - slope), (corner, high), (1.1, high - slope), (1.1, -0.5), (-0.1, -0.5)],
            np.full(3, scene.uniform(170, 245), np.float32),
        )
    return image


BACKGROUNDS: dict[str, Callable[[Scene], Bytes]] = {
    "plain": plain,
    "gradient": gradient,
    "spotlight": spotlight,
    "plaster": plaster,
    "marbled": marbled,
    "wallpaper": wallpaper,
    "bricks": bricks,
    "planks": planks,
    "tiles": tiles,
    "foliage": foliage,
    "landscape": landscape,
    "bokeh": bokeh,
    "city": city,
    "clutter": clutter,
    "curtain": curtain,
    "room": room,
}
