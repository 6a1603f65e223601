"""Composites at the speed of copying: pixels are copied where the alpha is 0 or 255, and only the band between is blended.

The alpha of a frame is made by three calls, each of them on bytes: `enlarge` the prob, maybe refine it (`refine.Refiner`), and look it up
in `levels` (`Compositor.look_up`, or `cv2.LUT`). `blend.blend` gives the same pictures, within 1 of 255, for alphas of any kind.
"""

from functools import lru_cache

import cv2
import numpy as np

from portraitseg.compose.blocks import Blocks, Picked
from portraitseg.compose.fit import flat
from portraitseg.errors import InputError
from portraitseg.image import Float32, UInt8


def enlarge(prob: Float32, size: tuple[int, int], out: UInt8 | None = None) -> UInt8:
    """Bring a prob (h,w) in [0,1] to `size` (H,W), bilinear, as bytes: 255 is 1. The border of a letterbox is cut off before.

    Args:
        prob: (h,w).
        size: (H,W).
        out: (H,W), to write to.
    """
    return np.asarray(cv2.resize(to_bytes(prob), size[::-1], dst=out, interpolation=cv2.INTER_LINEAR), np.uint8)


def to_bytes(prob: Float32) -> UInt8:
    """A prob (h,w) in [0,1] as bytes, rounded."""
    return np.asarray(cv2.convertScaleAbs(prob, alpha=255), np.uint8)


@lru_cache(maxsize=64)  # it is asked for at every frame
def levels(threshold: float = 0.5, feather: float = 0.8, *, smooth: bool = True) -> UInt8:
    """The table (256,) from prob to alpha, read-only, for `cv2.LUT`: a smoothstep as in `blend.soft_alpha`, or a straight ramp.

    Args:
        threshold: the prob in [0,1] that becomes half transparent.
        feather: width of the ramp around it, in prob; 0 for a hard edge. It is less where it would not fit between 0 and 1: sure
            background stays transparent and a sure person opaque, wherever the threshold lies.
        smooth: ease in and out.

    Raises:
        InputError: either is out of range.
    """
    if not 0 <= threshold <= 1 or not 0 <= feather <= 1:
        raise InputError(f"threshold and feather lie between 0 and 1, got {threshold} and {feather}; try 0.5 and 0.8")
    middle = np.clip(threshold, 0.5 / 255, 1 - 0.5 / 255)
    width = max(1 / 255, min(feather, 2 * middle, 2 - 2 * middle))
    t = np.clip((np.arange(256, dtype=np.float32) / 255 - middle) / width + 0.5, 0, 1)
    table = np.asarray((t * t * (3 - 2 * t) if smooth else t) * 255 + 0.5).astype(np.uint8)
    table.flags.writeable = False
    return table


def soften(alpha: UInt8, sigma: float) -> UInt8:
    """Blur an alpha (H,W) by a Gaussian, standard deviation `sigma` in pixels, 0 for none; at the picture's border it goes on as it is."""
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8) if sigma else alpha


class Compositor:
    """Puts people before backgrounds, frame after frame, in memory that it keeps."""

    def __init__(self) -> None:
        self._blocks = Blocks()

    def look_up(self, large: UInt8, table: UInt8) -> tuple[UInt8, Picked]:
        """The alpha (H,W) of an enlarged prob (H,W) by a table of `levels`, and its band for `__call__`; both hold until the next call."""
        return self._blocks.look_up(np.ascontiguousarray(large), table)

    def __call__(self, image: UInt8, alpha: UInt8, background: UInt8, out: UInt8 | None = None, *, band: Picked | None = None) -> UInt8:
        """Mix as `blend.blend` does.

        Args:
            image: RGB (H,W,3).
            alpha: (H,W), 0 to 255.
            background: RGB (H,W,3), or one colour (3,).
            out: RGB (H,W,3), contiguous, to write to.
            band: of `look_up`, if the alpha is as it came from there; it is searched for if left out.

        Returns:
            `out`, or without it RGB (H,W,3) that holds until the next call.

        Raises:
            InputError: the sizes differ, or `out` does not fit.
        """
        behind = flat(background, image.shape[:2]) if background.ndim == 1 else background
        if not image.shape[:2] == alpha.shape == behind.shape[:2]:
            raise InputError(
                f"image, alpha and background must have one size, got {image.shape}, {alpha.shape} and {behind.shape}; resize them first"
            )
        image, alpha = np.ascontiguousarray(image), np.ascontiguousarray(alpha)
        out = self._blocks.output(out, image.shape)
        np.copyto(out, behind)
        cv2.copyTo(image, alpha, out)  # wherever the alpha is not 0; the band is written over now
        picked = self._blocks.soft(alpha) if band is None else band
        if picked.size:
            self._mix_band(image, alpha, behind, out, picked)
        return out

    def _mix_band(self, image: UInt8, alpha: UInt8, behind: UInt8, out: UInt8, picked: Picked) -> None:
        """Blend the picked blocks, in 16-bit integers."""
        blocks = self._blocks
        front, back = blocks.take("front", image, picked), blocks.take("back", behind, picked)
        weight = blocks.array("weight", front.shape, np.uint8)
        cv2.merge([blocks.take("alpha", alpha, picked)] * 3, dst=weight)
        total, part = (blocks.array(name, front.shape, np.uint16) for name in ("total", "part"))
        np.multiply(front, weight, out=total, dtype=np.uint16)
        np.multiply(back, np.invert(weight, out=weight), out=part, dtype=np.uint16)
        total += part
        # rounded to nearest: no whole number's 255th lies within 0.001 of a half, so single precision cannot err
        cv2.convertScaleAbs(total.reshape(len(picked), -1), dst=front.reshape(len(picked), -1), alpha=1 / 255)
        blocks.put(front, out, picked)
