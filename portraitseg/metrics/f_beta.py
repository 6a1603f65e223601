"""Precision and recall at 256 thresholds, and the best F that they give."""

import numpy as np
from numpy.typing import NDArray

from portraitseg.metrics.picture import Float32, UInt8

BETA2 = 0.3
"""The square of beta: precision counts for more than recall (Achanta 2009)."""


def curves(prob: Float32, truth: UInt8) -> NDArray[np.float64]:
    """Precision and recall (2,256) where the person is prob >= t / 255, for t from 255 down to 0.

    Where nothing is found, precision is 0. In a picture without a person recall is 1, and precision is 1 as long as nothing is found.

    Args:
        prob: (H,W) in [0,1].
        truth: 0/1 (H,W).
    """
    level = (prob * 255).astype(np.int64) + np.int64(256) * truth  # H,W
    histograms = np.bincount(level.ravel(), minlength=512).reshape(2, 256)[:, ::-1]  # background, person
    false, true = np.cumsum(histograms, axis=1)
    if not true[-1]:
        return np.stack([false == 0, np.ones(256)])
    return np.stack([true / np.maximum(true + false, 1), true / true[-1]])


def max_f(pair: NDArray[np.float64]) -> float:
    """The largest F-beta in [0,1] along the curves (2,256) of `curves`, or along their means over a data set."""
    precision, recall = pair
    return float(np.max((1 + BETA2) * precision * recall / np.maximum(BETA2 * precision + recall, 1e-12)))
