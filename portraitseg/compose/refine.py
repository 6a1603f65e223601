"""Edges of the full-resolution frame for a prob that a net gave at a few hundred pixels: the fast guided filter.

Around each point the prob is taken for a linear function of the colours, prob = a . colour + b (He 2010, doi:10.1007/978-3-642-15549-9_1).
a and b change slowly, so that they are found on a small picture and enlarged (He and Sun 2015, arXiv:1505.00996); what is fine, the hair,
comes from the frame's own colours. Where the prob is the same all around, a is 0 and nothing needs to be computed: only the band is.
"""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from portraitseg.compose.blocks import Blocks, Picked, step
from portraitseg.compose.compositor import enlarge, to_bytes
from portraitseg.image import Float32, UInt8

SIDE = 96  # the small picture's longer side in pixels: finer costs more and finds no better edges (docs/edges.md)
RADIUS = 2  # of the window, in pixels of the small picture
SHARPEN = 0.2  # a prob this near to 0 or 1 is taken for it: nets' ramps are wider than edges are
SMOOTHNESS = 1e-3  # variance of colours in [0,1] that counts as noise: colours that differ less do not make an edge
REACH = 1  # how far around a prob that is not sure the edge may lie, in pixels of the small picture
ROWS = 3  # of the frame's, at the least, between two of the small picture's before any of them share coefficients
SURE = 25  # of 255: a prob that lies no farther from 0 or 255 is sure, as in `levels`


class Refiner:
    """Refines probs, frame after frame, in memory that it keeps."""

    def __init__(self) -> None:
        self._blocks = Blocks()

    def __call__(self, image: UInt8, prob: Float32, out: UInt8 | None = None) -> UInt8:
        """Refine a prob.

        Args:
            image: RGB (H,W,3).
            prob: (h,w) in [0,1]; the border of a letterbox is cut off before.
            out: (H,W), contiguous, to write to.

        Returns:
            The prob (H,W) as bytes, 255 is 1: `out`, or without it memory that holds until the next call.

        Raises:
            InputError: `out` does not fit.
        """
        out = self._blocks.output(out, image.shape[:2])
        enlarge(prob, out.shape, out)
        size = _small(prob.shape)
        small = np.asarray(cv2.resize(prob, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        picked = self._band(small, out.shape)
        if picked.size:
            # linear sampling that skips pixels, as in the paper: means would hide how much the colours vary
            guide = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
            self._apply(_coefficients(cv2.split(guide), _sharpened(small)), image, picked, out)
        return out

    def _band(self, small: Float32, size: tuple[int, ...]) -> Picked:
        """The blocks of a picture of `size` around which the prob is not all sure background or all sure person."""
        values, reach = to_bytes(small), np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
        mixed = (cv2.dilate(values, reach) > SURE) & (cv2.erode(values, reach) < 255 - SURE)
        return self._blocks.marked(mixed, size)

    def _apply(self, coefficients: Sequence[Float32], image: UInt8, picked: Picked, out: UInt8) -> None:
        """Write a . colour + b to the picked blocks; the coefficients are three planes a and one of b."""
        blocks, (height, width) = self._blocks, image.shape[:2]
        skip = max(1, height // (ROWS * coefficients[0].shape[0]))  # rows that share their coefficients
        shared = _sharing(height, width // step(image.shape), skip)[picked]
        large = blocks.array("large", (-(-height // skip), width), np.float32)
        colours = blocks.take("colours", image, picked)
        planes = cv2.split(colours, [blocks.array(f"plane{index}", colours.shape[:2], np.uint8) for index in range(3)])
        product = blocks.array("product", colours.shape[:2], np.float32)
        total = blocks.take("total", cv2.resize(coefficients[3], large.shape[::-1], dst=large), shared)
        for plane, a in zip(planes, coefficients[:3], strict=True):
            cv2.resize(a, large.shape[::-1], dst=large)
            total += np.multiply(plane, blocks.take("a", large, shared), out=product, dtype=np.float32)
        np.clip(total, 0, 255, out=total)
        values = blocks.array("values", total.shape, np.uint8)
        np.copyto(values, np.rint(total, out=total), casting="unsafe")
        blocks.put(values, out, picked)


@lru_cache(maxsize=4)
def _sharing(rows: int, columns: int, skip: int) -> Picked:
    """For each block of a picture of so many rows and columns of blocks, that of a picture with a `skip`-th of the rows."""
    return np.asarray(np.arange(rows)[:, None] // skip * columns + np.arange(columns), np.intp).ravel()


def _small(size: tuple[int, ...]) -> tuple[int, int]:
    """The small picture's size: that of the prob, its longer side `SIDE` at the most."""
    scale = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _sharpened(prob: Float32) -> Float32:
    """Stretch a prob so that `SHARPEN` and what lies below becomes 0, the same from above 1."""
    return np.asarray(np.clip((prob - np.float32(SHARPEN)) / np.float32(1 - 2 * SHARPEN), 0, 1), np.float32)


def _coefficients(guide: Sequence[Float32], prob: Float32) -> tuple[Float32, ...]:
    """Least squares of prob = a . colour + b in the window around each point, then averaged over the windows that hold the point.

    Args:
        guide: red, green and blue (h,w) in [0,1].
        prob: (h,w) in [0,1].

    Returns:
        a for red, green and blue as bytes, and b, such that a . colour + b = 255 * prob; each (h,w).
    """
    planes = [*guide, prob]
    means = [_mean(plane) for plane in planes]
    rr, rg, rb, rp, gg, gb, gp, bb, bp = (_mean(planes[i] * planes[j]) - means[i] * means[j] for i in range(3) for j in range(i, 4))
    rr, gg, bb = (variance + np.float32(SMOOTHNESS) for variance in (rr, gg, bb))
    # (a_r, a_g, a_b) = inverse(covariances of the colours) . (rp, gp, bp), the inverse of a symmetric matrix by its cofactors
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1 / (rr * c_rr + rg * c_rg + rb * c_rb)
    a_r = scale * (c_rr * rp + c_rg * gp + c_rb * bp)
    a_g = scale * (c_rg * rp + c_gg * gp + c_gb * bp)
    a_b = scale * (c_rb * rp + c_gb * gp + c_bb * bp)
    b = means[3] - a_r * means[0] - a_g * means[1] - a_b * means[2]
    return _mean(a_r), _mean(a_g), _mean(a_b), _mean(b) * np.float32(255)


def _mean(plane: Float32) -> Float32:
    """Mean of the window around each point; beyond the rim the picture is mirrored."""
    return np.asarray(cv2.blur(plane, (2 * RADIUS + 1, 2 * RADIUS + 1)), np.float32)
