"""How well a prob agrees with a mask, in NumPy and OpenCV alone; docs/metrics.md defines every metric.

A prob above 0.5 and a mask value above 127 are person. Where there is nothing to find and nothing was found, the score is full: two
pictures without a person have an IoU of 100, two without an edge (all person, all background) a boundary F of 100. If only one of
them has a person (an edge), the score is 0.
"""

from portraitseg.metrics.bootstrap import interval
from portraitseg.metrics.boundary import boundary_f, boundary_iou
from portraitseg.metrics.f_beta import curves, max_f
from portraitseg.metrics.matting import connectivity_error, gradient_error, mse, sad
from portraitseg.metrics.meter import Meter
from portraitseg.metrics.picture import Picture
from portraitseg.metrics.region import confusion, iou, ious, mae
from portraitseg.metrics.s_measure import s_measure
from portraitseg.metrics.table import BASIC, METRICS, STILL, VIDEO, Metric, select
from portraitseg.metrics.video import Steadiness, dtssd, flicker
from portraitseg.metrics.weighted_f import weighted_f

__all__ = [
    "BASIC",
    "METRICS",
    "STILL",
    "VIDEO",
    "Meter",
    "Metric",
    "Picture",
    "Steadiness",
    "boundary_f",
    "boundary_iou",
    "confusion",
    "connectivity_error",
    "curves",
    "dtssd",
    "flicker",
    "gradient_error",
    "interval",
    "iou",
    "ious",
    "mae",
    "max_f",
    "mse",
    "s_measure",
    "sad",
    "select",
    "weighted_f",
]
