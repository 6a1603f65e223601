"""Whether pictures can set the ranges of an int8 file: whole photographs as bytes, like those that the net was trained on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portraitseg.card import Card
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.quantization.calibration import input_range

MOST = 32
"""Pictures looked at."""
NARROW = 32
"""Grey levels; pictures that together span fewer were normalised before they were saved."""
NEAR = 8
"""Grey levels from black or white within which a mask's pixels lie, JPEG's noise included."""
MASK_LIKE = 0.95
"""Share of such pixels from which on a grey picture counts as a mask."""
SHIFT = 64.0
"""Grey levels by which a channel's mean may differ from the training set's."""
STRETCH = 2.5
"""Factor by which a channel's standard deviation may differ from it."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """What a set's bytes are like."""

    mean: npt.NDArray[np.float64]
    """(3,), red, green and blue."""
    std: npt.NDArray[np.float64]
    low: int
    high: int
    flat: float
    """Share of the pictures that hold a single colour."""
    masks: float
    """Share of the pictures that are grey and nearly all black and white."""


def look(source: Source, indices: Sequence[int]) -> Pixels:
    """Look at the pictures `indices`, or as many of them as MOST, spread evenly."""
    chosen = [indices[number] for number in np.unique(np.linspace(0, len(indices) - 1, MOST).astype(int))]
    return measure(source.load(index)[0] for index in chosen)


def measure(pictures: Iterable[UInt8]) -> Pixels:
    """The same of RGB pictures (H,W,3); each counts alike, whatever its size."""
    means, squares, lows, highs, flat, masks = [], [], [], [], [], []
    for picture in pictures:
        pixels = picture.reshape(-1, 3).astype(np.float64)
        means.append(pixels.mean(0))
        squares.append((pixels**2).mean(0))
        lows.append(int(picture.min()))
        highs.append(int(picture.max()))
        flat.append(lows[-1] == highs[-1])
        masks.append(not flat[-1] and _is_mask(picture))
    mean = np.mean(means, 0)
    std = np.sqrt(np.maximum(np.mean(squares, 0) - mean**2, 0))
    return Pixels(mean=mean, std=std, low=min(lows), high=max(highs), flat=float(np.mean(flat)), masks=float(np.mean(masks)))


def check(found: Pixels, card: Card, trained: Pixels | None = None) -> None:
    """Refuse pictures that would give wrong ranges.

    Args:
        found: of the calibration set.
        card: the net's.
        trained: of the training set, where it is known.

    Raises:
        InputError: they are of a single colour, masks, normalised already, or unlike the training set; with the figures.
    """
    low, high = (float(ends[0]) for ends in input_range(card.input))
    remedy = "give photographs like those that the net was trained on: --data DIR"
    if found.flat > 0.5:
        raise InputError(f"{100 * found.flat:.0f}% of the calibration pictures hold a single colour, which sets no range; {remedy}")
    if found.high - found.low < NARROW:
        spans = f"the calibration pictures span {found.low} to {found.high} only"
        needs = f"the card's input range {low:.3g} to {high:.3g} is that of bytes from 0 to 255"
        raise InputError(f"{spans}, but {needs}: they were normalised before they were saved; {remedy}")
    if found.masks > 0.5:
        raise InputError(f"{100 * found.masks:.0f}% of the calibration pictures are black and white alone: these are masks; {remedy}")
    if trained is not None and (lines := _differences(found, trained)):
        raise InputError(f"the calibration pictures are unlike the training set: {'; '.join(lines)}; {remedy}, or mix some of them in")


def _is_mask(picture: UInt8) -> bool:
    if (picture.max(2) - picture.min(2)).max() > NEAR:
        return False
    grey = picture[..., 0]
    return float(np.mean((grey <= NEAR) | (grey >= 255 - NEAR))) >= MASK_LIKE


def _differences(found: Pixels, trained: Pixels) -> list[str]:
    lines = []
    for channel, name in enumerate(("red", "green", "blue")):
        if abs(found.mean[channel] - trained.mean[channel]) > SHIFT:
            lines.append(f"{name} is {found.mean[channel]:.0f} on average, there {trained.mean[channel]:.0f} (allowed +-{SHIFT:.0f})")
        ratio = (found.std[channel] + 1) / (trained.std[channel] + 1)
        if not 1 / STRETCH <= ratio <= STRETCH:
            lines.append(f"{name} has a standard deviation of {found.std[channel]:.0f}, there {trained.std[channel]:.0f}")
    return lines
