"""What the values of a mask file mean: everything becomes 0 to 255 with 255 = person."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portraitseg.optional import require

UInt8 = NDArray[np.uint8]

VOID = 255  # the label that PASCAL VOC and its followers draw around objects, where the annotator left it open
TINT = 32  # JPEG tints grey by less


def to_8bit(values: NDArray[Any]) -> UInt8:
    """Bring 16-bit values and floats in [0,1] to 0..255; 16-bit values that fit in 8 bits stay (0/1 and 0/255 saved as uint16)."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16 and values.max() > 255:
        values = np.round(values / 257)
    elif np.issubdtype(values.dtype, np.floating) and values.max() <= 1:
        values = np.round(values * 255)
    return np.asarray(np.clip(np.nan_to_num(values), 0, 255), np.uint8)


def spread(mask: UInt8) -> UInt8:
    """0/1 becomes 0/255; anything else stays."""
    return np.where(mask == 1, 255, 0).astype(np.uint8) if mask.max() == 1 else mask


def from_colours(colours: UInt8) -> UInt8:
    """Grey saved as three channels (H,W,3) is that grey; a coloured mask is a label map in which black is background."""
    strongest = np.asarray(colours.max(-1), np.uint8)
    if int((strongest - colours.min(-1)).max()) <= TINT:
        return strongest
    return np.where(strongest > TINT, 255, 0).astype(np.uint8)


def is_palette(path: Path) -> bool:
    """Whether the file is a PNG whose pixels are indices into a palette (colour type 3 in its header)."""
    with path.open("rb") as file:
        head = file.read(26)
    return head.startswith(b"\x89PNG") and head[25:] == b"\x03"


def from_palette(path: Path) -> UInt8:
    """A palette of greys holds the mask's values; a coloured one marks labels: 0 is background, 255 (void) half, the rest person.

    Raises:
        ImportError: Pillow is not installed.
    """
    labels, colours = _indexed(path)
    if _is_grey(labels, colours):
        return spread(colours[labels, 0])
    return np.where(labels == 0, 0, np.where(labels == VOID, 127, 255)).astype(np.uint8)


def person_labels(path: Path) -> set[int]:
    """The labels of a coloured palette that `from_palette` takes for the person; none for any other file.

    Raises:
        ImportError: Pillow is not installed.
    """
    if not is_palette(path):
        return set()
    labels, colours = _indexed(path)
    return set() if _is_grey(labels, colours) else set(np.unique(labels).tolist()) - {0, VOID}


def _indexed(path: Path) -> tuple[UInt8, UInt8]:
    """A palette PNG's indices (H,W), which OpenCV does not give, and its colours (256,3)."""
    with require("PIL.Image", extra="train").open(path) as picture:
        labels = np.asarray(picture, np.uint8)
        palette = np.reshape(picture.getpalette("RGB"), (-1, 3))
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    return labels, colours


def _is_grey(labels: UInt8, colours: UInt8) -> bool:
    """Whether the colours in use are greys; a palette that is black throughout was never filled in and says nothing."""
    used = colours[np.unique(labels)]
    return bool((used == used[:, :1]).all() and used.any())
