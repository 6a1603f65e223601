"""Outlines, (N,2) arrays of x, y: smooth curves, ellipses, limbs."""

import math
from functools import cache

import numpy as np

from portraitseg.data.drawn.drawing import Float, Points, Rows


def closed_curve(control: Rows | Points, steps: int = 6) -> Points:
    """A smooth closed outline through the control points (Catmull-Rom), (N,2) -> (N*steps,2)."""
    points = np.asarray(control, np.float32)
    smooth: Points = _spline(len(points), steps, True) @ points
    return smooth


def open_curve(control: Rows | Points, steps: int = 6) -> Points:
    """A smooth line through the control points from the first to the last, (N,2) -> ((N-1)*steps+1,2)."""
    points = np.asarray(control, np.float32)
    smooth: Points = _spline(len(points), steps, False) @ points
    return smooth


def mirrored(half: Rows | Points) -> Points:
    """A right half from top to bottom, and its mirror image (x -> -x) back up; a point on the axis is not doubled."""
    right = np.asarray(half, np.float32)
    left = right[::-1] * np.array([-1, 1], np.float32)
    return np.concatenate([right, left[left[:, 0] != 0]])


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Points:
    """(20,2) points of an ellipse, its rx axis turned by `angle` radians."""
    ring = _ring() * np.array([rx, ry], np.float32)
    cos, sin = math.cos(angle), math.sin(angle)
    turned: Points = ring @ np.array([[cos, sin], [-sin, cos]], np.float32) + np.array([x, y], np.float32)
    return turned


def capsule(start: Points, end: Points, start_radius: float, end_radius: float) -> Points:
    """The outline of a limb: two discs and what lies between them."""
    x, y = float(end[0] - start[0]), float(end[1] - start[1])
    length = max(math.hypot(x, y), 1e-6)
    back = _half_ring() @ np.array([[x, y], [-y, x]], np.float32) * np.float32(1 / length)
    outline: Points = np.concatenate([start + back * np.float32(start_radius), end - back * np.float32(end_radius)])
    return outline


@cache
def _ring() -> Points:
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False, dtype=np.float32)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


@cache
def _half_ring() -> Points:
    """The half of a circle that faces away from +x."""
    angles = np.linspace(np.pi / 2, 3 * np.pi / 2, 7, dtype=np.float32)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


@cache
def _spline(count: int, steps: int, closed: bool) -> Float:
    """Weights of `count` control points at every point of the curve, a row a point."""
    t = np.arange(steps, dtype=np.float32) / steps
    weights = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], 1) / 2
    spans = count if closed else count - 1
    matrix = np.zeros((spans * steps, count), np.float32)
    for span in range(spans):
        for column, point in enumerate(range(span - 1, span + 3)):
            point = point % count if closed else min(max(point, 0), count - 1)
            matrix[span * steps : (span + 1) * steps, point] += weights[:, column]
    if not closed:
        matrix = np.concatenate([matrix, np.eye(count, dtype=np.float32)[-1:]])
    return matrix
