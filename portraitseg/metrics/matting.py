"""Errors of soft masks over the whole picture, in the units of the matting benchmarks: SAD, MSE, gradient, connectivity.

After Rhemann 2009 ("A perceptually motivated online benchmark for image matting") and the code that came with Xu 2017
(arXiv:1703.03872). All are smaller for better masks; SAD, gradient and connectivity are sums, in thousands, and grow with the picture.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.metrics.picture import Float32

THOUSAND = 1000.0
SIGMA = 1.4
"""Of the Gaussian whose derivatives are the gradient, in pixels."""
STEPS = 10
"""Levels of opacity at which connectivity is looked at."""
FORGIVEN = 0.15
"""What a pixel may stand above the level at which it is connected."""


def sad(prob: Float32, alpha: Float32) -> float:
    """Sum of the absolute differences of two (H,W) in [0,1], in thousands."""
    return float(np.abs(prob - alpha).sum(dtype=np.float64)) / THOUSAND


def mse(prob: Float32, alpha: Float32) -> float:
    """Mean squared difference of two (H,W) in [0,1]."""
    return float(np.square(prob - alpha).mean(dtype=np.float64))


def gradient_error(prob: Float32, alpha: Float32) -> float:
    """Sum of the squared differences of the gradients' lengths, in thousands.

    The gradient is that of the picture smoothed by a Gaussian of sigma 1.4, by filters of 9 pixels whose squares sum to 1; the rim is
    repeated outwards.

    Args:
        prob: (H,W) in [0,1].
        alpha: (H,W) in [0,1].
    """
    return float(np.square(_steepness(prob) - _steepness(alpha)).sum(dtype=np.float64)) / THOUSAND


def connectivity_error(prob: Float32, alpha: Float32) -> float:
    """Sum of the differences in how well each pixel hangs together with the main body, in thousands.

    The main body at a level is the largest 4-connected region where both are at least so opaque (of equals, one of them). A pixel is
    connected up to the last level, in steps of 0.1, at which it and all levels below belonged to it. What stands more than 0.15 above
    that level counts as loose.

    Args:
        prob: (H,W) in [0,1].
        alpha: (H,W) in [0,1].
    """
    level = _connected_level(np.minimum(prob, alpha))
    return float(np.abs(_loose(prob - level) - _loose(alpha - level)).sum(dtype=np.float64)) / THOUSAND


def _steepness(values: Float32) -> Float32:
    """Length of the gradient (H,W)."""
    smooth, slope = _filters()
    across = cv2.sepFilter2D(values, cv2.CV_32F, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(values, cv2.CV_32F, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _filters() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Gaussian and its derivative; their outer product's squares sum to 1. Cut off where the Gaussian falls below 0.01."""
    reach = int(np.ceil(SIGMA * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * SIGMA * 0.01))))
    x = np.arange(-reach, reach + 1)
    smooth = np.exp(-(x**2) / (2 * SIGMA**2))
    slope = x * smooth
    return smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)


def _connected_level(common: Float32) -> Float32:
    """The level (H,W) up to which each pixel is connected: 0, 0.1, ... 1."""
    steps = np.zeros(common.shape, np.float32)
    inside = np.ones(common.shape, bool)
    for step in range(1, STEPS + 1):
        inside &= _largest((common >= np.float32(step / STEPS)).astype(np.uint8))
        steps += inside
    return steps / np.float32(STEPS)


def _largest(binary: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The largest 4-connected region of a 0/1 picture (H,W)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=4, ltype=cv2.CV_32S)
    if count == 1:
        return np.zeros(binary.shape, bool)
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _loose(above: Float32) -> Float32:
    return np.where(above >= FORGIVEN, above, np.float32(0))
