"""Weights and means of maps (h,w), by whole arrays."""

import cv2
import numpy as np

from portraitseg.image import Float32


def fade(change: Float32, low: float, high: float) -> Float32:
    """1 up to `low`, 0 from `high` on, in proportion between."""
    out = np.float32(high) - change
    out *= np.float32(1 / (high - low))
    return np.clip(out, 0, 1, out=out)


def mix(new: Float32, old: Float32, kept: Float32) -> Float32:
    """New + kept * (old - new), in new memory."""
    out = cv2.subtract(old, new)
    return np.asarray(cv2.add(cv2.multiply(out, kept, out), new, out), np.float32)
