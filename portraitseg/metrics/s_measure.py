"""S-measure: how alike prob and mask are as structures."""

import cv2
import numpy as np

from portraitseg.metrics.picture import Float32, UInt8

ALPHA = 0.5
"""Weight of the object-aware part; the region-aware part has the rest."""


def s_measure(prob: Float32, truth: UInt8) -> float:
    """S-measure in [0,1] (Fan 2017, arXiv:1708.00786).

    In a picture without a person it is 1 - mean(prob), in one that is all person mean(prob).

    Args:
        prob: (H,W) in [0,1].
        truth: 0/1 (H,W).
    """
    share = cv2.countNonZero(truth) / truth.size
    if share in (0, 1):
        mean, _ = _moments(prob)
        return mean if share else 1 - mean
    (right, spread), (wrong, scatter) = _moments(prob, truth), _moments(prob, 1 - truth)
    alike = share * _object(right, spread) + (1 - share) * _object(1 - wrong, scatter)
    return max(0.0, ALPHA * alike + (1 - ALPHA) * _region(prob, truth))


def _moments(values: Float32, where: UInt8 | None = None) -> tuple[float, float]:
    """Mean and standard deviation (of a sample) of (H,W), where `where` (H,W) is not 0."""
    count = values.size if where is None else cv2.countNonZero(where)
    mean, deviation = cv2.meanStdDev(values, mask=where)
    return float(mean.item()), float(deviation.item()) * float(np.sqrt(count / max(count - 1, 1)))


def _object(mean: float, deviation: float) -> float:
    """How high and how even values are that should be 1."""
    return 2 * mean / (mean * mean + 1 + deviation)


def _region(prob: Float32, truth: UInt8) -> float:
    """Likeness of the four parts about the person's centre, weighted by their areas; half pixels round to even, as in PySODMetrics."""
    sums = cv2.moments(truth, binaryImage=True)
    middle, centre = (int(np.round(sums[key] / sums["m00"])) + 1 for key in ("m01", "m10"))
    parts = [(down, across) for down in (slice(middle), slice(middle, None)) for across in (slice(centre), slice(centre, None))]
    return sum(truth[part].size / truth.size * _likeness(prob[part], truth[part]) for part in parts if truth[part].size)


def _likeness(prob: Float32, truth: UInt8) -> float:
    """SSIM of a whole part: of means, contrasts and structure; 1 where neither prob nor truth varies."""
    y = cv2.countNonZero(truth) / truth.size
    if y in (0, 1):
        return float(prob.min() == prob.max())
    (x, deviation), inside = _moments(prob), cv2.mean(prob, mask=truth)[0]
    sample = prob.size / (prob.size - 1)
    covariance, variance = sample * y * (inside - x), sample * y * (1 - y)
    return 4 * x * y * covariance / ((x * x + y * y) * (deviation**2 + variance))
