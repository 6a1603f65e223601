"""Things behind the figure: PROPS; many look like parts of people on purpose."""

from collections.abc import Callable

import cv2
import numpy as np

from portraitseg.data.drawn import colours
from portraitseg.data.drawn.cloth import cloth
from portraitseg.data.drawn.drawing import Bytes, fill
from portraitseg.data.drawn.scene import Scene, box, disc, line, polygon
from portraitseg.data.drawn.shapes import closed_curve

BLACK = np.full(3, 15, np.float32)
WHITE = np.full(3, 238, np.float32)


def draw_shelf(scene: Scene, image: Bytes) -> None:
    """Boards with books and boxes."""
    rng = scene.rng
    left, top = scene.uniform(-0.1, 0.7), scene.uniform(-0.1, 0.3)
    wide, gap, rows = scene.uniform(0.3, 0.9), scene.uniform(0.12, 0.26), int(rng.integers(2, 6))
    wood = scene.wood()
    box(image, left, top, left + wide, top + gap * rows, wood * 0.5)
    for row in range(rows):
        board, x = top + gap * (row + 1), left + 0.01
        while x < left + wide - 0.02:
            thick, tall = scene.uniform(0.01, 0.045), gap * scene.uniform(0.55, 0.95)
            if rng.random() < 0.85:
                box(image, x, board - tall, x + thick, board, scene.colour())
            x += thick + 0.003
        box(image, left, board - 0.015, left + wide, board + 0.004, wood)
    box(image, left - 0.012, top, left, top + gap * rows, wood)


def draw_window(scene: Scene, image: Bytes) -> None:
    """A bright pane with bars, a view, curtains at times."""
    left, top, wide, tall = scene.uniform(-0.1, 0.7), scene.uniform(-0.1, 0.25), scene.uniform(0.2, 0.5), scene.uniform(0.3, 0.7)
    frame = WHITE if scene.chance(0.6) else scene.wood()
    box(image, left - 0.02, top - 0.02, left + wide + 0.02, top + tall + 0.02, frame)
    box(image, left, top, left + wide, top + tall, colours.rgb(0.58, scene.uniform(0, 0.4), scene.uniform(0.6, 1)))
    box(
        image,
        left,
        top + tall * scene.uniform(0.4, 0.9),
        left + wide,
        top + tall,
        colours.rgb(scene.uniform(0.1, 0.4), 0.4, scene.uniform(0.3, 0.8)),
    )
    for step in range(1, int(scene.rng.integers(1, 4)) + 1):
        line(image, [(left + wide * step / 3, top), (left + wide * step / 3, top + tall)], frame, 0.015)
    line(image, [(left, top + tall / 2), (left + wide, top + tall / 2)], frame, 0.015)
    if scene.chance(0.4):
        cloth = scene.colour()
        for x in np.arange(left - 0.08, left + 0.04, 0.02):
            line(image, [(x, top - 0.05), (x, top + tall + 0.1)], cloth * scene.uniform(0.75, 1.1), 0.022)


def draw_door(scene: Scene, image: Bytes) -> None:
    """A door with panels and a handle."""
    left, wide, top = scene.uniform(-0.1, 0.8), scene.uniform(0.22, 0.4), scene.uniform(-0.2, 0.2)
    wood = scene.wood() if scene.chance(0.5) else scene.wall()
    box(image, left - 0.02, top - 0.02, left + wide + 0.02, 1, wood * 0.75)
    box(image, left, top, left + wide, 1, wood)
    for y in (top + 0.06, top + 0.5):
        box(image, left + wide * 0.15, y, left + wide * 0.85, y + 0.35, wood * 0.88)
    disc(image, left + wide * 0.92, top + 0.5, 0.015, 0.015, np.array([190, 170, 110], np.float32))


def draw_plant(scene: Scene, image: Bytes) -> None:
    """Leaves out of a pot, or hanging."""
    rng = scene.rng
    x, y, reach = scene.uniform(0, 1), scene.uniform(0.3, 0.9), scene.uniform(0.12, 0.35)
    green = colours.rgb(scene.uniform(0.2, 0.42), scene.uniform(0.3, 0.8), scene.uniform(0.2, 0.6))
    pot = scene.colour()
    polygon(image, [(x - 0.08, y), (x + 0.08, y), (x + 0.06, y + 0.15), (x - 0.06, y + 0.15)], pot)
    for angle in rng.uniform(-2.9, -0.2, 16):
        tip = np.array([x + np.cos(angle) * reach * rng.uniform(0.5, 1), y + np.sin(angle) * reach * rng.uniform(0.5, 1.2)])
        side = np.array([-np.sin(angle), np.cos(angle)]) * reach * rng.uniform(0.05, 0.16)
        middle = (tip + np.array([x, y])) / 2
        polygon(image, [(x, y), middle + side, tip, middle - side], green * rng.uniform(0.5, 1.4))


def draw_chair(scene: Scene, image: Bytes) -> None:
    """The back of the chair that the person sits on: an office chair, an armchair."""
    x, y = scene.chin[0] + scene.uniform(-0.1, 0.1), scene.chin[1]
    wide, top = scene.unit * scene.uniform(0.6, 1.5), y - scene.unit * scene.uniform(-0.3, 0.9)
    colour = scene.colour() if scene.chance(0.6) else BLACK * scene.uniform(1, 4)
    shell = closed_curve(
        [
            (x - wide * 0.8, top),
            (x + wide * 0.8, top),
            (x + wide, top + 0.15),
            (x + wide * 1.05, 1.2),
            (x - wide * 1.05, 1.2),
            (x - wide, top + 0.15),
        ]
    )
    polygon(image, shell, colour * 0.7)
    polygon(image, (shell - (x, top + 0.5)) * 0.93 + (x, top + 0.5), colour)


def draw_poster(scene: Scene, image: Bytes) -> None:
    """A framed print of shapes."""
    rng = scene.rng
    left, top, wide, tall = scene.uniform(-0.1, 0.85), scene.uniform(-0.05, 0.5), scene.uniform(0.12, 0.4), scene.uniform(0.12, 0.4)
    box(image, left - 0.012, top - 0.012, left + wide + 0.012, top + tall + 0.012, BLACK if scene.chance(0.5) else scene.wood())
    box(image, left, top, left + wide, top + tall, scene.colour())
    for _ in range(int(rng.integers(1, 6))):
        x, y, reach = (
            left + wide * scene.uniform(0.25, 0.75),
            top + tall * scene.uniform(0.25, 0.75),
            min(wide, tall) * scene.uniform(0.05, 0.24),
        )
        disc(image, x, y, reach, reach * scene.uniform(0.4, 1.0), scene.colour(), scene.uniform(0, 180))


def draw_clothes(scene: Scene, image: Bytes) -> None:
    """Shirts and coats on hangers: a figure's shape and cloth, but no figure."""
    rail = scene.uniform(0.05, 0.4)
    width, middle = scene.uniform(0.08, 0.2), scene.uniform(0.0, 0.9)
    line(image, [(0, rail - 0.04), (1, rail - 0.04)], BLACK * 5, 0.012)
    for _ in range(int(scene.rng.integers(1, 4))):
        _draw_garment(scene, image, middle, rail, width)
        middle += width * scene.uniform(1.0, 2.6)


def _draw_garment(scene: Scene, image: Bytes, x: float, y: float, width: float) -> None:
    tall = width * scene.uniform(2.0, 3.6)
    shape = [
        (0.2, 0),
        (0.75, 0.1),
        (1.1, 0.55),
        (0.95, 0.62),
        (0.72, 0.35),
        (0.75, 1.0),
        (-0.75, 1.0),
        (-0.72, 0.35),
        (-0.95, 0.62),
        (-1.1, 0.55),
        (-0.75, 0.1),
        (-0.2, 0),
    ]
    line(image, [(x, y - 0.045), (x, y), (x + width * 0.6, y + 0.02)], BLACK * 4, 0.006)
    outline = (np.array(shape, np.float32) * np.array([width, tall], np.float32) + np.array([x, y], np.float32)) * scene.size
    patch = fill(scene.size, outline)
    if patch.alpha.size:
        colour = cloth(scene.rng, scene.size, width * scene.size, scene.colour(), plain=0.4).on(patch)
        view = image[patch.rows, patch.cols]
        np.copyto(view, np.clip(colour, 0, 255).astype(np.uint8).transpose(1, 2, 0), where=patch.alpha[..., None] > 0.5)


def draw_discs(scene: Scene, image: Bytes) -> None:
    """Skin-coloured heads that are none: lamps, balloons, plates, cushions."""
    for _ in range(int(scene.rng.integers(1, 5))):
        x, y, radius = scene.uniform(0, 1), scene.uniform(0, 0.8), scene.unit * scene.uniform(0.2, 0.6)
        tone = colours.skin(scene.rng) if scene.chance(0.7) else scene.like()
        disc(image, x, y, radius * scene.uniform(0.7, 1.2), radius, tone)
        disc(image, x - radius * 0.2, y - radius * 0.25, radius * 0.5, radius * 0.4, np.minimum(tone * 1.1, 255))


def draw_limbs(scene: Scene, image: Bytes) -> None:
    """Skin-coloured bars and boards: furniture, pipes, branches."""
    for _ in range(int(scene.rng.integers(1, 5))):
        start = scene.rng.random(2)
        end = start + scene.rng.normal(0, 0.35, 2)
        line(image, [start, end], colours.skin(scene.rng) if scene.chance(0.6) else scene.wood(), scene.uniform(0.015, 0.12))


def draw_lamp(scene: Scene, image: Bytes) -> None:
    """A shade on a stand."""
    x, y, wide = scene.uniform(0, 1), scene.uniform(0.05, 0.5), scene.uniform(0.06, 0.16)
    line(image, [(x, y), (x, 1)], BLACK * scene.uniform(1, 8), 0.015)
    polygon(
        image,
        [(x - wide * 0.6, y - wide), (x + wide * 0.6, y - wide), (x + wide, y + wide * 0.4), (x - wide, y + wide * 0.4)],
        np.array([250, 232, 190], np.float32) * scene.uniform(0.7, 1),
    )


def draw_sofa(scene: Scene, image: Bytes) -> None:
    """A broad back with cushions."""
    top, colour = scene.uniform(0.4, 0.85), scene.colour()
    polygon(image, closed_curve([(-0.1, top), (0.5, top - 0.02), (1.1, top), (1.2, 1.2), (-0.2, 1.2)]), colour)
    for _ in range(int(scene.rng.integers(1, 5))):
        x, y, half = scene.uniform(0, 1), top + scene.uniform(0, 0.2), scene.uniform(0.07, 0.16)
        polygon(image, closed_curve(np.array([(-1, -0.8), (1, -0.8), (1, 0.8), (-1, 0.8)]) * half + (x, y)), scene.colour())


def draw_screen(scene: Scene, image: Bytes) -> None:
    """A television or a blackboard with writing."""
    left, top, wide = scene.uniform(-0.1, 0.7), scene.uniform(0, 0.5), scene.uniform(0.2, 0.6)
    box(image, left, top, left + wide, top + wide * 0.6, BLACK)
    box(image, left + 0.01, top + 0.01, left + wide - 0.01, top + wide * 0.6 - 0.01, scene.colour() * scene.uniform(0.2, 1))
    for row in range(int(scene.rng.integers(0, 7))):
        y = top + 0.04 + row * 0.05
        line(image, [(left + 0.03, y), (left + wide * scene.uniform(0.3, 0.9), y)], WHITE, scene.uniform(0.004, 0.02))


def draw_sign(scene: Scene, image: Bytes) -> None:
    """Large letters on a board or on the wall."""
    x, y, tall = scene.uniform(-0.1, 0.5), scene.uniform(0.05, 0.6), scene.uniform(0.04, 0.2)
    colour = scene.colour()
    if scene.chance(0.5):
        box(image, x - 0.03, y - tall, x + tall * 5, y + tall * 0.5, scene.colour())
    word = "".join(chr(65 + int(letter)) for letter in scene.rng.integers(0, 26, 7))
    size = image.shape[0]
    cv2.putText(
        image,
        word,
        (round(x * size), round(y * size)),
        cv2.FONT_HERSHEY_DUPLEX,
        tall * size / 22,
        colour.tolist(),
        max(1, round(tall * size / 10)),
        cv2.LINE_AA,
    )


def draw_fence(scene: Scene, image: Bytes) -> None:
    """Posts and rails, or the bars of a staircase."""
    step, top, colour = scene.uniform(0.04, 0.15), scene.uniform(0.2, 0.7), scene.colour()
    lean = scene.rng.normal(0, 0.1)
    for x in np.arange(-0.1, 1.1, step):
        line(image, [(x, top + lean * x), (x, 1.1)], colour, step * 0.2)
    for y in (top + 0.02, top + 0.2):
        line(image, [(0, y), (1, y + lean)], colour * 0.85, 0.02)


def draw_cabinet(scene: Scene, image: Bytes) -> None:
    """Doors with knobs, a kitchen's or an office's."""
    left, top, wide, tall, columns = (
        scene.uniform(-0.2, 0.6),
        scene.uniform(-0.2, 0.6),
        scene.uniform(0.15, 0.3),
        scene.uniform(0.25, 0.5),
        int(scene.rng.integers(1, 5)),
    )
    wood = scene.wood() if scene.chance(0.6) else scene.wall()
    for column in range(columns):
        x = left + column * wide
        box(image, x, top, x + wide, top + tall, wood * 0.7)
        box(image, x + 0.006, top + 0.006, x + wide - 0.006, top + tall - 0.006, wood)
        disc(image, x + wide * 0.85, top + tall * 0.8, 0.01, 0.01, BLACK * 6)


PROPS: dict[str, Callable[[Scene, Bytes], None]] = {
    "shelf": draw_shelf,
    "window": draw_window,
    "door": draw_door,
    "plant": draw_plant,
    "chair": draw_chair,
    "poster": draw_poster,
    "clothes": draw_clothes,
    "discs": draw_discs,
    "limbs": draw_limbs,
    "lamp": draw_lamp,
    "sofa": draw_sofa,
    "screen": draw_screen,
    "sign": draw_sign,
    "fence": draw_fence,
    "cabinet": draw_cabinet,
}
