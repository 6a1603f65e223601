"""What `edges.py` compares with: other ways to bring a prob to a picture's size, and a boundary F that forgives one pixel."""

from collections.abc import Callable

import cv2
import numpy as np

from portraitseg.compose.compositor import enlarge
from portraitseg.compose.refine import RADIUS, SIDE, SMOOTHNESS
from portraitseg.image import Float32, UInt8

WINDOW = (2 * RADIUS + 1, 2 * RADIUS + 1)


def plain(image: UInt8, prob: Float32) -> UInt8:
    """Bilinear, no refinement."""
    return enlarge(prob, image.shape[:2])


def grey_guided(image: UInt8, prob: Float32) -> UInt8:
    """The fast guided filter on brightness alone, over the whole picture."""
    grey, small = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.resize(prob, (SIDE, SIDE))
    guide = cv2.resize(grey, (SIDE, SIDE)).astype(np.float32) / 255
    mean, mean_prob = cv2.blur(guide, WINDOW), cv2.blur(small, WINDOW)
    a = (cv2.blur(guide * small, WINDOW) - mean * mean_prob) / (cv2.blur(guide * guide, WINDOW) - mean * mean + np.float32(SMOOTHNESS))
    b = 255 * (mean_prob - a * mean)
    a, b = (cv2.resize(cv2.blur(plane, WINDOW), grey.shape[::-1]) for plane in (a, b))
    return _bytes(a * grey + b)


def joint_bilateral(image: UInt8, prob: Float32, *, reach: int = 2, colour: float = 0.1, space: float = 1.0) -> UInt8:
    """Joint bilateral upsampling (Kopf 2007): each pixel is a mean of the net's pixels around, weighted by likeness of colour."""
    (height, width), (rows, columns) = image.shape[:2], prob.shape
    picture = image.astype(np.float32) / 255
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    y, x = (np.arange(height) + 0.5) * rows / height - 0.5, (np.arange(width) + 0.5) * columns / width - 0.5
    total, weights = np.zeros((2, height, width), np.float32)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            near_y, near_x = np.rint(y) + dy, np.rint(x) + dx
            at = np.ix_(near_y.clip(0, rows - 1).astype(int), near_x.clip(0, columns - 1).astype(int))
            far = ((near_y - y) ** 2)[:, None] + ((near_x - x) ** 2)[None]
            unlike = ((picture - small[at]) ** 2).sum(axis=-1)
            weight = np.exp(-far / (2 * space**2) - unlike / (2 * colour**2)).astype(np.float32) + np.float32(1e-8)
            total += weight * prob[at]
            weights += weight
    return _bytes(255 * total / weights)


def ximgproc() -> dict[str, Callable[[UInt8, Float32], UInt8]]:
    """OpenCV's own filters, where cv2 has them, with windows as large as ours; `scale` counts the radius in small pixels."""
    if not hasattr(cv2, "ximgproc"):
        return {}

    def guided(image: UInt8, prob: Float32) -> UInt8:
        radius = max(1, round(RADIUS * max(image.shape) / SIDE))
        return _bytes(cv2.ximgproc.guidedFilter(image, _large(image, prob), radius, SMOOTHNESS * 255**2))

    def fast(image: UInt8, prob: Float32) -> UInt8:
        scale = max(1, round(max(image.shape) / SIDE))
        return _bytes(cv2.ximgproc.guidedFilter(image, _large(image, prob), RADIUS, SMOOTHNESS * 255**2, scale=1 / scale))

    def bilateral(image: UInt8, prob: Float32) -> UInt8:
        sigma = max(image.shape) / max(prob.shape)
        return _bytes(cv2.ximgproc.jointBilateralFilter(image.astype(np.float32), _large(image, prob), 0, 25, sigma))

    return {"ximgproc guided": guided, "ximgproc guided, subsampled": fast, "ximgproc joint bilateral": bilateral}


def close_f(found: np.ndarray, truth: np.ndarray) -> float:
    """Boundary F in [0,1] of two masks of bool (H,W), edges being equal that lie a pixel apart at the most."""
    edges = [mask ^ (cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) for mask in (found, truth)]
    wide = [cv2.dilate(edge.view(np.uint8), np.ones((3, 3), np.uint8)) > 0 for edge in edges]
    precision = (edges[0] & wide[1]).sum() / max(edges[0].sum(), 1)
    recall = (edges[1] & wide[0]).sum() / max(edges[1].sum(), 1)
    return 1.0 if not edges[0].any() and not edges[1].any() else 2 * precision * recall / max(precision + recall, 1e-9)


def _large(image: UInt8, prob: Float32) -> Float32:
    return 255 * cv2.resize(prob, image.shape[1::-1])


def _bytes(values: Float32) -> UInt8:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
