"""Seamless cloning (Pérez 2003, doi:10.1145/882262.882269): the person's edge takes the background's colours, and the change fades inwards.

OpenCV's `seamlessClone` keeps the person's gradients, so what it changes is smooth: a membrane over the person that is spanned between
what the edge is and what it should be. Here that membrane alone is taken from it, at any size, and laid over the frame. So the person
keeps every detail and cannot move, whatever `seamlessClone` makes of the centre it is given, and a live picture can do with a small one.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.compose.shrink import shrink

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]

SIDE = 96
"""Longer side at which the membrane is made for a live picture, in pixels."""
STRENGTH = 0.6
"""Share of the membrane by default: all of it takes the person for as far into the new light as the wall behind them."""
SURE = 13
"""Alpha from which a pixel is the person's."""
RIM = 4
"""Pixels of the old background around the person that are cloned with it, of which OpenCV leaves out three: the edge that is fitted lies
there. What the person then gets is the difference of the two backgrounds, as far as it is the same all around, and not the colour of the
new one."""


class SeamlessClone:
    """Fits the person to the background at the edge; over the frames of a video without flicker."""

    def __init__(self, *, strength: float = STRENGTH, side: int = SIDE, every: int = 1, memory: float = 0.0) -> None:
        """Prepare.

        Args:
            strength: share of the membrane that is applied.
            side: longer side at which it is made; 0 for the frame's own, for photos.
            every: of how many frames one gets a membrane of its own; the next ones take it too.
            memory: share of the last frame's membrane that goes into the next one's, in [0,1); 0 for unrelated pictures.
        """
        self.strength, self.side, self.every, self.memory = strength, side, every, memory
        self._wanted: Float32 | None = None
        self._membrane: Float32 | None = None
        self._count = 0

    def __call__(self, image: UInt8, alpha: UInt8, background: UInt8) -> UInt8:
        """Fit the person's colours.

        Args:
            image: RGB (H,W,3).
            alpha: (H,W).
            background: RGB (H,W,3).

        Returns:
            RGB (H,W,3), to be blended with the background by alpha; the image itself where there is no person or nothing behind.
        """
        size = _small((alpha.shape[0], alpha.shape[1]), self.side)
        if self._count % self.every == 0:
            self._wanted = _spanned(shrink(image, size), shrink(alpha, size), shrink(background, size))
        self._count += 1
        self._approach(self._wanted)
        if self._membrane is None:
            return image
        change = cv2.resize(np.float32(self.strength) * self._membrane, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.add(image, change, dtype=cv2.CV_8U), np.uint8)

    def _approach(self, wanted: Float32 | None) -> None:
        if wanted is not None and self._membrane is not None and wanted.shape == self._membrane.shape:
            wanted = wanted + np.float32(self.memory) * (self._membrane - wanted)
        self._membrane = wanted


def seamless(image: UInt8, alpha: UInt8, background: UInt8, *, strength: float = STRENGTH, side: int = SIDE) -> UInt8:
    """The same for one picture; see `SeamlessClone`."""
    return SeamlessClone(strength=strength, side=side)(image, alpha, background)


def _small(size: tuple[int, int], side: int) -> tuple[int, int]:
    """`size` (H,W), or smaller with a longer side of `side`, if that is not 0."""
    scale = min(1.0, side / max(size)) if side else 1.0
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _spanned(image: UInt8, alpha: UInt8, background: UInt8) -> Float32 | None:
    """What `seamlessClone` adds to RGB (h,w,3) on the person, alpha (h,w); None without a person or without a background."""
    person = cv2.dilate(cv2.threshold(alpha, SURE - 1, 255, cv2.THRESH_BINARY)[1], np.ones((1 + 2 * RIM, 1 + 2 * RIM), np.uint8))
    if not person.any() or person.all():
        return None
    borders = _mirrored(person)
    mask = cv2.copyMakeBorder(_continued(person, borders), 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    source, target = (cv2.copyMakeBorder(_continued(part, borders), 2, 2, 2, 2, cv2.BORDER_REPLICATE) for part in (image, background))
    left, top, columns, rows = cv2.boundingRect(mask)
    centre = left + columns // 2, top + rows // 2  # where OpenCV puts the middle of the mask's rectangle: nothing moves
    cloned = cv2.seamlessClone(source, target, mask, centre, cv2.NORMAL_CLONE)
    height, width = person.shape
    inner = slice(2 + borders[0], 2 + borders[0] + height), slice(2 + borders[2], 2 + borders[2] + width)
    return np.asarray(cloned[inner].astype(np.float32) - source[inner], np.float32)


def _mirrored(person: UInt8) -> list[int]:
    """By how many pixels to continue a mask (h,w) at the top, bottom, left and right: by its own size where the frame cuts the person off.

    There is no edge to fit there. Continued as in a mirror, the person ends within the picture, and the membrane is flat at the cut.
    """
    height, width = person.shape
    cut = [person[0].any(), person[-1].any(), person[:, 0].any(), person[:, -1].any()]
    return [size * bool(is_cut) for size, is_cut in zip((height, height, width, width), cut, strict=True)]


def _continued(picture: UInt8, borders: list[int]) -> UInt8:
    top, bottom, left, right = borders
    return np.asarray(cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_REFLECT), np.uint8)
