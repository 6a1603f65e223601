"""Weighted F: errors count by how near they are to the person and to each other."""

import cv2
import numpy as np

from portraitseg.metrics.picture import Float32, UInt8

WINDOW, SIGMA = 7, 5.0
"""Of the Gaussian, in pixels, that lets errors inside the person be made good by right neighbours."""
HALVING = 5.0
"""Pixels of distance from the person over which what an error costs comes half as near to its largest, 2."""


def weighted_f(prob: Float32, truth: UInt8) -> float:
    """Weighted F measure in [0,1], beta = 1 (Margolin 2014, "How to evaluate foreground maps?").

    In a picture without a person it is 1 where nothing is above 0.5, else 0 (the paper leaves it open).

    Args:
        prob: (H,W) in [0,1].
        truth: 0/1 (H,W).
    """
    persons = cv2.countNonZero(truth)
    if not persons:
        return float(prob.max() <= 0.5)
    error = cv2.absdiff(prob, truth.astype(np.float32))
    false_negative = persons * cv2.mean(np.minimum(error, _spread(error, truth)), mask=truth)[0]
    distance = cv2.distanceTransform(1 - truth, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    cost = 2 - cv2.exp(distance * np.float32(-np.log(2) / HALVING))
    false_positive = (truth.size - persons) * cv2.mean(error * cost, mask=1 - truth)[0]
    true_positive = persons - false_negative
    recall, precision = true_positive / persons, true_positive / max(true_positive + false_positive, 1e-12)
    return 2 * recall * precision / max(recall + precision, 1e-12)


def _spread(error: Float32, truth: UInt8) -> Float32:
    """The errors (H,W) blurred, those outside the person first replaced by the error of the nearest pixel inside.

    The blur sees 3 pixels outside at the most; there the 5x5 distances order all neighbours as the exact ones do.
    """
    _, labels = cv2.distanceTransformWithLabels(1 - truth, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL)
    person = truth.astype(bool)
    errors = np.zeros(int(labels.max()) + 1, np.float32)
    errors[labels[person]] = error[person]
    return np.asarray(cv2.GaussianBlur(errors[labels], (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_CONSTANT), np.float32)
