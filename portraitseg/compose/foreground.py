"""The person's own colours at a soft edge, without the old background that shines through there.

A pixel of hair is a mix, image = alpha * F + (1 - alpha) * B. Blended over another background as it is, it brings (1 - alpha) of the old
one along. As in blur fusion (Forte 2021, arXiv:2006.14970) F and B are first guessed from the sure pixels around; then both are moved by
as little as makes the mix come out, which is least squares with the guesses as priors.
"""

import cv2
import numpy as np

from portraitseg.compose.blocks import Blocks, Picked, step
from portraitseg.errors import InputError
from portraitseg.image import Float32, UInt8

SIDE = 160  # the guesses change slowly: they are made on a picture of this longer side in pixels
NEAR, FAR = 5, 41  # windows in pixels of it
TRUST = 0.01  # in the wide window, against the narrow one: it counts only where the narrow one holds no sure pixel
SURENESS = 16  # power of the alpha that weighs a pixel: 0.9 counts 0.19, 0.5 nothing
NOISE = 0.2  # of a half-transparent mix against that of the guesses, as variances: keeps an alpha that is wrong from giving wild colours


class Decontaminator:
    """Takes the background out of soft edges, frame after frame, in memory that it keeps."""

    def __init__(self) -> None:
        self._blocks = Blocks()
        alpha = np.arange(256, dtype=np.float32) / 255
        self._gain = alpha / (alpha**2 + (1 - alpha) ** 2 + np.float32(NOISE) * alpha * (1 - alpha))  # 1 at 1: sure pixels stay

    def __call__(self, image: UInt8, alpha: UInt8, out: UInt8 | None = None) -> UInt8:
        """Estimate the person's colours wherever the alpha is soft.

        Args:
            image: RGB (H,W,3).
            alpha: (H,W), 0 to 255.
            out: RGB (H,W,3), contiguous, to write to.

        Returns:
            The image with these colours: `out`, or without it memory that holds until the next call.

        Raises:
            InputError: the sizes differ, or `out` does not fit.
        """
        if image.shape[:2] != alpha.shape:
            raise InputError(f"image and alpha must have one size, got {image.shape} and {alpha.shape}; resize one first")
        image, alpha = np.ascontiguousarray(image), np.ascontiguousarray(alpha)
        out = self._blocks.output(out, image.shape)
        np.copyto(out, image)
        picked = self._blocks.soft(alpha)
        if picked.size:
            self._unmix(out, alpha, picked, *_guesses(image, alpha))
        return out

    def _unmix(self, image: UInt8, alpha: UInt8, picked: Picked, front: UInt8, back: UInt8) -> None:
        """Write F = front + gain * (image - back - alpha * (front - back)) to the picked blocks of `image`."""
        blocks = self._blocks
        colours, share = blocks.take("colours", image, picked), blocks.take("alpha", alpha, picked)
        front, back = (_around(guess, image.shape, picked) for guess in (front, back))
        weight, rest, mixed = (blocks.array(name, colours.shape, np.float32) for name in ("weight", "rest", "mixed"))
        np.subtract(front, back, out=mixed, dtype=np.float32)
        mixed *= cv2.merge([share * np.float32(1 / 255)] * 3, dst=weight)
        np.subtract(colours, back, out=rest, dtype=np.float32)
        rest -= mixed
        rest *= cv2.merge([self._gain[share]] * 3, dst=weight)
        rest += front
        np.copyto(colours, np.rint(np.clip(rest, 0, 255, out=rest), out=rest), casting="unsafe")
        blocks.put(colours, image, picked)


def _around(guess: UInt8, size: tuple[int, ...], picked: Picked) -> UInt8:
    """A guess brought to the picked blocks (n,B,3) of a picture of `size`, one colour a block."""
    width = step(size)
    colours = cv2.resize(guess, (size[1] // width, size[0])).reshape(-1, 1, 3)[picked]
    return np.asarray(cv2.resize(colours, (width, len(picked)), interpolation=cv2.INTER_NEAREST), np.uint8)


def _guesses(image: UInt8, alpha: UInt8) -> tuple[UInt8, UInt8]:
    """Small pictures of the person's colours and of the background's, each continued beyond its edge."""
    scale = min(1.0, SIDE / max(alpha.shape))
    size = max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale))
    small, weight = cv2.resize(image, size).astype(np.float32), cv2.resize(alpha, size).astype(np.float32) / 255
    return _continued(small, weight), _continued(small, 1 - weight)


def _continued(image: Float32, weight: Float32) -> UInt8:
    """The mean colour of the sure pixels around each point."""
    sure = weight**SURENESS
    pixels = cv2.merge([*cv2.split(image * sure[..., None]), sure])
    near, far = (cv2.blur(pixels, (side, side), borderType=cv2.BORDER_REPLICATE) for side in (NEAR, FAR))
    total = near + np.float32(TRUST) * far
    return np.asarray(np.rint(total[..., :3] / (total[..., 3:] + np.float32(1e-9))).clip(0, 255), np.uint8)
