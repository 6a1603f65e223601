"""Steadiness over consecutive frames: dtSSD against the masks, flicker against the motion seen in the pictures."""

import cv2
import numpy as np

from portraitseg.errors import InputError
from portraitseg.metrics.picture import Float32, UInt8, refuse_nan

PERCENT = 100.0
THOUSAND = 1000.0
WIDTH = 320
"""Flicker is measured on frames of this width."""
APART = 1.0
"""Motion is known where the flows there and back cancel to less than this, in pixels of the small frame."""


class Steadiness:
    """Compares each frame with the one before."""

    def __init__(self) -> None:
        self._last: tuple[UInt8, Float32, Float32 | None] | None = None

    def cut(self) -> None:
        """Forget the last frame: the next one does not follow it."""
        self._last = None

    def add(self, name: str, image: UInt8, prob: Float32, alpha: Float32 | None = None) -> dict[str, float]:
        """Score one frame.

        Args:
            name: the frame's, for messages.
            image: RGB (H,W,3).
            prob: (H,W) in [0,1].
            alpha: the true opacity (H,W) in [0,1], if known.

        Returns:
            {"dtssd", "flicker"}; without dtSSD where an alpha is missing, without flicker where no pixel's motion is known, and nothing
            for the first frame.

        Raises:
            InputError: the prob holds NaN, or the frame has another size than the one before.
        """
        refuse_nan(name, prob)
        last, self._last = self._last, (image, prob, alpha)
        if last is None:
            return {}
        before, last_prob, last_alpha = last
        if last_prob.shape != prob.shape:
            raise InputError(f"frames of one clip must have one size, {name} has {prob.shape}, the one before {last_prob.shape}")
        row = {}
        if alpha is not None and last_alpha is not None:
            row["dtssd"] = dtssd(last_prob, prob, last_alpha, alpha)
        unsteady = flicker(before, image, last_prob, prob)
        return row if unsteady is None else {**row, "flicker": unsteady}


def dtssd(last_prob: Float32, prob: Float32, last_alpha: Float32, alpha: Float32) -> float:
    """Root of the mean squared difference between the changes of prob and of alpha, all (H,W) in [0,1], times 100 (Erofeev 2015)."""
    change = (prob - last_prob) - (alpha - last_alpha)
    return PERCENT * float(np.sqrt(np.square(change).mean(dtype=np.float64)))


def flicker(before: UInt8, image: UInt8, last_prob: Float32, prob: Float32) -> float | None:
    """Mean |prob - last prob moved along|, times 1000, where the motion is known.

    Pictures and probs are brought to a width of 320 pixels by area. DIS optical flow (OpenCV's medium preset) between the grey pictures
    says where each pixel was in the frame before; the last prob is read there, bilinearly. Left out are pixels that were outside the
    frame, and those where the flow there and the flow back do not cancel to less than 1 pixel: newly seen or lost.

    Args:
        before: the frame before, RGB (H,W,3).
        image: RGB (H,W,3).
        last_prob: of `before`, (H,W) in [0,1].
        prob: (H,W) in [0,1].

    Returns:
        None if the motion is known nowhere.
    """
    source, known = motion(_small(before), _small(image))
    if not known.any():
        return None
    moved = cv2.remap(_small(last_prob), source, None, cv2.INTER_LINEAR)
    return THOUSAND * float(np.abs(_small(prob) - moved)[known].mean(dtype=np.float64))


def motion(before: UInt8, image: UInt8) -> tuple[Float32, np.ndarray]:
    """Where each pixel was, x and y (h,w,2), and whether that is known (h,w)."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, image)]
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = method.calc(grey[1], grey[0], None), method.calc(grey[0], grey[1], None)
    height, width = grey[0].shape
    place = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)
    source = place + back
    round_trip = back + cv2.remap(forth, source, None, cv2.INTER_LINEAR)
    inside = ((source >= 0) & (source <= (width - 1, height - 1))).all(-1)
    return source, inside & (np.hypot(round_trip[..., 0], round_trip[..., 1]) < APART)


def _small(values: np.ndarray) -> np.ndarray:
    height, width = values.shape[:2]
    return np.asarray(cv2.resize(values, (WIDTH, max(1, round(height * WIDTH / width))), interpolation=cv2.INTER_AREA))
