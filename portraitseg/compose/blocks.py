"""A few pixels of a picture, worked on as one contiguous array: blocks of 8 neighbours in a row are picked, gathered, and put back.

The edge of a person is a few percent of a frame. OpenCV has no call for "these pixels only", and a call for each small rectangle costs
more than its pixels; gathered, they take the same vectorised calls as a whole picture.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.errors import InputError
from portraitseg.image import Array, UInt8

BLOCK = 8  # pixels: of an alpha, one 64-bit word

Picked = NDArray[np.intp]
"""Numbers of blocks, in the order of the picture's memory."""


class Blocks:
    """Picks and gathers; owns the memory for it, which grows to the largest band seen. An array holds until its name is used again."""

    def __init__(self) -> None:
        self._memory: dict[str, UInt8] = {}

    def soft(self, alpha: UInt8) -> Picked:
        """The blocks of a contiguous alpha (H,W) that are neither 0 throughout nor 255 throughout."""
        words = _words(alpha)
        one, after = words.dtype.type(1), self.array("after", words.shape, words.dtype)
        np.add(words, one, out=after)  # no bit set becomes 1, all bits set becomes 0, any other is larger
        return np.flatnonzero(np.greater(after, one, out=self.array("soft", words.shape, np.bool_)))

    def look_up(self, values: UInt8, table: UInt8) -> tuple[UInt8, Picked]:
        """`cv2.LUT`, in half its time where few values lie on the ramp.

        Args:
            values: (H,W), contiguous.
            table: (256,), which rises from 0 to 255.

        Returns:
            (H,W), which holds until the next call, and the blocks that hold anything between 0 and 255.
        """
        first, end = np.searchsorted(table, [1, 255]).tolist()
        _, out = cv2.threshold(values, end - 1, 255, cv2.THRESH_BINARY, dst=self.array("looked_up", values.shape, np.uint8))
        _, shown = cv2.threshold(values, first - 1, 255, cv2.THRESH_BINARY, dst=self.array("after", values.shape, np.uint8))
        sure, shown = _words(out), _words(shown)
        picked = np.flatnonzero(np.not_equal(sure, shown, out=self.array("soft", sure.shape, np.bool_)))
        if picked.size:
            self.put(cv2.LUT(self.take("alpha", values, picked), table), out, picked)
        return np.asarray(out, np.uint8), picked

    def marked(self, mask: NDArray[np.bool_], size: tuple[int, ...]) -> Picked:
        """The blocks of a picture of `size` (H,W) that lie where a mask (h,w) is set."""
        blocks = size[1] // step(size), size[0]
        return np.flatnonzero(cv2.resize(mask.view(np.uint8), blocks, interpolation=cv2.INTER_NEAREST).view(np.bool_))

    def take(self, name: str, picture: Array, picked: Picked) -> Array:
        """Gather blocks.

        Args:
            name: of the memory to use.
            picture: (H,W) or (H,W,C); copied whole if it is not contiguous, unless all its rows are one (`fit.flat`).
            picked: n blocks.

        Returns:
            (n,B) or (n,B,C), B pixels of a block.
        """
        pixels = step(picture.shape)
        out = self.array(name, (len(picked), pixels, *picture.shape[2:]), picture.dtype)
        if not picture.strides[0]:
            picture, picked = np.ascontiguousarray(picture[:1]), picked % (picture.shape[1] // pixels)
        np.take(_rows(picture, pixels), picked, out=_rows(out, pixels), mode="clip")  # by any other mode NumPy copies `out` first
        return out

    def put(self, values: Array, picture: Array, picked: Picked) -> None:
        """Write gathered blocks (n,B) or (n,B,C) back into a contiguous picture."""
        pixels = step(picture.shape)
        np.put(_rows(picture, pixels), picked, _rows(values, pixels))

    def output(self, out: UInt8 | None, shape: tuple[int, ...]) -> UInt8:
        """The array to write a result to: `out`, or without it memory of our own.

        Raises:
            InputError: `out` is of another shape or kind, or has gaps.
        """
        if out is None:
            return self.array("out", shape, np.uint8)
        if out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise InputError(f"out must be a contiguous uint8 array of shape {shape}, got {out.dtype} of {out.shape}; or leave it out")
        return out

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Memory for an array, holding anything."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = self._memory.get(name)
        if memory is None or memory.size < size:
            memory = self._memory[name] = np.empty(size + size // 4, np.uint8)  # with room: bands grow little by little
        array: Array = memory[:size].view(dtype).reshape(shape)
        return array


def step(size: tuple[int, ...]) -> int:
    """Pixels of a block: 8, or 4, 2 or 1 where a row of a picture of `size` (H,W) cannot be parted otherwise."""
    return math.gcd(size[1], BLOCK)


def _words(alpha: UInt8) -> Array:
    return alpha.reshape(-1).view(f"u{step(alpha.shape)}")


def _rows(picture: Array, pixels: int) -> NDArray[np.void]:
    """A contiguous picture as one row of blocks; a view."""
    block = pixels * math.prod(picture.shape[2:]) * picture.itemsize
    return picture.reshape(-1).view(f"V{block}")
