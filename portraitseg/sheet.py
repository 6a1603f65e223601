"""Contact sheets: pictures side by side for a person to look at."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.image import Float32, UInt8, resize

Colour = tuple[int, int, int]

PAPER: Colour = (32, 32, 32)
INK: Colour = (235, 235, 235)
GREEN: Colour = (0, 255, 0)
GAP = 4  # pixels between cells
LINE = 18  # height of a label in pixels


def grid(images: Sequence[UInt8], columns: int, labels: Sequence[str] | None = None) -> UInt8:
    """Lay pictures out in rows of `columns`, each centred in a cell that holds the largest, its label underneath.

    Args:
        images: RGB (H,W,3), at least one; they keep their sizes.
        columns: 1 or more.
        labels: one for each picture; cut off where the cell ends.

    Raises:
        ValueError: there is no picture, no column, or not one label for each picture.
    """
    if not images or columns < 1 or (labels is not None and len(labels) != len(images)):
        raise ValueError(f"a grid needs pictures, columns and a label each; got {len(images)}, {columns}, {labels and len(labels)}")
    height, width = max(image.shape[0] for image in images), max(image.shape[1] for image in images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    foot = LINE if labels else 0
    sheet = _flat((rows * (height + foot + GAP) + GAP, columns * (width + GAP) + GAP), PAPER)
    for index, image in enumerate(images):
        top, left = GAP + index // columns * (height + foot + GAP), GAP + index % columns * (width + GAP)
        cell = sheet[top : top + height + foot, left : left + width]
        _centre(cell[:height], image)
        if labels:
            _write(cell[height:], labels[index])
    return sheet


def row(image: UInt8, mask: UInt8, prob: Float32, *, side: int = 224, background: Colour | None = None) -> UInt8:
    """Show one sample as four square panels: picture, truth, prediction and cut-out.

    Args:
        image: RGB (H,W,3).
        mask: (H,W), 0 to 255.
        prob: (H,W) in [0,1].
        side: of a panel, in pixels.
        background: behind the cut-out; None for a checkerboard.
    """
    small = [resize(panel, _inside((image.shape[0], image.shape[1]), side)) for panel in (image, mask, np.asarray(prob, np.float32))]
    picture, truth, prediction = small[0], small[1], small[2]
    panels = (picture, _grey(truth), _grey(np.round(255 * prediction).astype(np.uint8)), cut_out(picture, prediction, background))
    out = _flat((side, 4 * side + 3 * GAP), PAPER)
    for index, panel in enumerate(panels):
        left = index * (side + GAP)
        _centre(out[:, left : left + side], panel)
    return out


def cut_out(image: UInt8, prob: Float32, background: Colour | None = None) -> UInt8:
    """Blend the picture over a background: prob * picture + (1 - prob) * background.

    Args:
        image: RGB (H,W,3).
        prob: (H,W) in [0,1].
        background: a colour; None for a checkerboard.
    """
    size = (image.shape[0], image.shape[1])
    behind = checkerboard(size) if background is None else _flat(size, background)
    alpha = prob[..., None]
    return np.asarray(np.round(alpha * image + (1 - alpha) * behind), np.uint8)


def outline(image: UInt8, mask: UInt8, colour: Colour = GREEN) -> UInt8:
    """Draw the contour of a mask (H,W; 128 and more is the person) on a copy of its picture (H,W,3)."""
    binary = (mask > 127).astype(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(min(image.shape[:2]) / 200))
    return np.asarray(cv2.drawContours(image.copy(), contours, -1, colour, thickness), np.uint8)


def checkerboard(size: tuple[int, int], square: int = 12) -> UInt8:
    """The grey checkerboard (H,W,3) that stands for transparency."""
    rows, columns = np.indices(size) // square
    tone = np.where((rows + columns) % 2 == 0, 204, 255).astype(np.uint8)
    return _grey(tone)


def _inside(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The largest size of the same aspect in a square of `side`."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _flat(size: tuple[int, int], colour: Colour) -> UInt8:
    return np.full((*size, 3), colour, np.uint8)


def _grey(values: NDArray[np.uint8]) -> UInt8:
    return np.repeat(values[..., None], 3, axis=2)


def _centre(cell: UInt8, image: UInt8) -> None:
    top, left = (cell.shape[0] - image.shape[0]) // 2, (cell.shape[1] - image.shape[1]) // 2
    cell[top : top + image.shape[0], left : left + image.shape[1]] = image


def _write(cell: UInt8, text: str) -> None:
    """Write a label into `cell`, on a copy of its own so that a long one ends with the cell."""
    strip = np.ascontiguousarray(cell)
    cv2.putText(strip, text, (2, LINE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    cell[:] = strip
