"""Colours as (3,) float32 RGB in [0,255]: skin over the whole human range, hair, cloth, and anything."""

import colorsys

import numpy as np

from portraitseg.data.drawn.drawing import Float

# sRGB of lit skin from the lightest to the darkest; a person's tone lies anywhere between two neighbours
SKIN = np.array(
    [
        (250, 224, 205),
        (240, 204, 178),
        (228, 184, 150),
        (212, 162, 124),
        (190, 136, 98),
        (160, 108, 74),
        (126, 82, 56),
        (92, 58, 42),
        (62, 40, 32),
    ],
    np.float32,
)
HAIR = np.array(
    [
        (24, 20, 20),
        (40, 28, 22),
        (62, 42, 30),
        (92, 60, 38),
        (128, 86, 52),
        (168, 122, 74),
        (214, 178, 120),
        (150, 66, 34),
        (120, 118, 116),
        (214, 210, 204),
    ],
    np.float32,
)
COMMON_HAIR = np.cumsum([0.22, 0.18, 0.14, 0.12, 0.09, 0.07, 0.07, 0.04, 0.04])  # the last one gets the rest


def rgb(hue: float, saturation: float, value: float) -> Float:
    """HSV, each in [0,1], to RGB."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), np.float32) * 255


def skin(rng: np.random.Generator) -> Float:
    """A skin tone, every one as likely as the next."""
    place = rng.uniform(0, len(SKIN) - 1.001)
    low = int(place)
    tone = SKIN[low] + (SKIN[low + 1] - SKIN[low]) * np.float32(place - low)
    return np.asarray(np.clip(tone * rng.normal(1, 0.035, 3), 20, 255), np.float32)


def hair(rng: np.random.Generator) -> Float:
    """A natural hair colour, now and then a dyed one."""
    if rng.random() < 0.05:
        return rgb(rng.random(), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.9))
    tone: Float = HAIR[int(np.searchsorted(COMMON_HAIR, rng.random()))]
    return np.asarray(np.clip(tone * rng.uniform(0.8, 1.2) * rng.normal(1, 0.04, 3), 8, 250), np.float32)


def cloth(rng: np.random.Generator) -> Float:
    """A colour of cloth: black, white, grey and navy as often as all else."""
    draw = rng.random()
    if draw < 0.2:
        return rgb(rng.random(), rng.uniform(0, 0.25), rng.uniform(0.06, 0.25))
    if draw < 0.38:
        return rgb(rng.random(), rng.uniform(0, 0.08), rng.uniform(0.78, 0.97))
    if draw < 0.5:
        return rgb(rng.uniform(0.58, 0.68), rng.uniform(0.3, 0.8), rng.uniform(0.15, 0.5))
    return rgb(rng.random(), rng.uniform(0.1, 0.85), rng.uniform(0.2, 0.95))


def wall(rng: np.random.Generator) -> Float:
    """A colour of rooms: mostly pale or dim, mostly weak."""
    if rng.random() < 0.6:
        return rgb(rng.normal(0.1, 0.08), rng.beta(1.2, 5), rng.uniform(0.45, 0.97))
    return rgb(rng.random(), rng.beta(1.5, 3), rng.uniform(0.12, 0.95))


def wood(rng: np.random.Generator) -> Float:
    """A colour of wood, from birch to ebony; much of it is near to skin."""
    return rgb(rng.normal(0.075, 0.015), rng.uniform(0.25, 0.65), rng.uniform(0.2, 0.9))


def darker(colour: Float, factor: float) -> Float:
    """The colour times `factor`, warmer in the shade than in the light as skin and cloth are."""
    return np.clip(colour * np.array([factor, factor**1.12, factor**1.18], np.float32), 0, 255)
