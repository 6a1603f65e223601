"""Arms and hands, in the body's frame."""

from typing import NamedTuple

import numpy as np

from portraitseg.data.drawn.clothing import on
from portraitseg.data.drawn.drawing import Canvas, Float, Points, capsule, closed_curve, fill, relief, strokes
from portraitseg.data.drawn.person import Person


class Pose(NamedTuple):
    """Where the right arm's joints are; the left arm is its mirror image."""

    elbow: tuple[float, float]
    wrist: tuple[float, float]
    hand: str
    """A name in HANDS."""
    raised: bool
    """Drawn in front of the face and the hair."""


# fmt: off
POSES = {
    "down":     Pose((1.12, 1.55), (1.18, 2.75), "loose", False),
    "away":     Pose((1.40, 1.45), (1.55, 2.60), "loose", False),
    "folded":   Pose((1.12, 1.55), (-0.1, 1.65), "fist",  False),
    "lap":      Pose((1.15, 1.60), (0.25, 2.50), "loose", False),
    "hip":      Pose((1.80, 1.40), (0.85, 2.20), "fist",  False),
    "raised":   Pose((1.45, 1.25), (1.40, 0.05), "open",  True),
    "high":     Pose((1.55, 0.05), (1.25, -1.1), "open",  True),
    "chin":     Pose((0.95, 1.55), (0.42, 0.35), "fist",  True),
    "cheek":    Pose((1.15, 1.25), (0.55, 0.05), "loose", True),
    "hair":     Pose((1.55, 0.15), (0.70, -0.8), "loose", True),
    "point":    Pose((1.35, 1.40), (1.05, 0.45), "point", True),
    "selfie":   Pose((1.60, 0.90), (2.30, 1.40), "fist",  True),
    "heart":    Pose((0.95, 1.35), (0.25, 0.95), "open",  True),
}
# angle from the forearm's direction (radians, towards the thumb), length: the four fingers, then the thumb; in palms
HANDS = {
    "open":  ((-0.32, 0.95), (-0.10, 1.10), (0.10, 1.05), (0.30, 0.90), (0.95, 0.62)),
    "loose": ((-0.14, 0.78), (-0.04, 0.88), (0.06, 0.84), (0.16, 0.70), (0.60, 0.45)),
    "fist":  ((-0.30, 0.18), (-0.10, 0.22), (0.10, 0.22), (0.30, 0.18), (0.70, 0.30)),
    "point": ((-0.30, 0.18), (-0.10, 0.22), (0.10, 0.22), (0.16, 0.95), (0.85, 0.45)),
}
# fmt: on
RESTING = [name for name, pose in POSES.items() if not pose.raised]
RAISED = [name for name, pose in POSES.items() if pose.raised]


def draw_arm(canvas: Canvas, person: Person, pose: Pose, side: float, sleeve: float) -> None:
    """One arm with its hand.

    Args:
        canvas: drawn on.
        person: whose arm.
        pose: where its joints are.
        side: 1 the one on the picture's right, -1 the other.
        sleeve: the share that the garment covers.
    """
    rng, unit = person.rng, person.unit
    mirror = np.array([side, 1], np.float32)
    joints = np.array([(0.8 * person.shoulders, 0.3), pose.elbow, pose.wrist], np.float32)
    joints[1:, 0] *= 0.5 + 0.5 * person.shoulders
    joints[1:] += rng.normal(0, 0.1, (2, 2)).astype(np.float32)
    shoulder, elbow, wrist = person.body(joints * mirror)
    thick = unit * rng.uniform(0.85, 1.1) * np.array([0.2, 0.155, 0.09], np.float32)
    limbs = [capsule(shoulder, elbow, thick[0], thick[1]), capsule(elbow, wrist, thick[1], thick[2])]
    if sleeve < 0.9:
        _lay(canvas, person, limbs, person.skin[:, None, None], unit * 0.13)
    draw_hand(canvas, person, elbow, wrist, HANDS[pose.hand], side)
    if sleeve > 0.0:
        _lay(canvas, person, _sleeve(np.stack([shoulder, elbow, wrist]), thick * 1.15, sleeve), person.fabric, unit * 0.14)


def draw_hand(canvas: Canvas, person: Person, elbow: Points, wrist: Points, fingers: tuple[tuple[float, float], ...], side: float) -> None:
    """Palm, four fingers and a thumb, pointing on from the forearm or bent at the wrist."""
    rng, palm = person.rng, person.unit * person.rng.uniform(0.32, 0.4)
    along = wrist - elbow
    angle = float(np.arctan2(along[1], along[0])) + rng.normal(0, 0.25)
    turn = -side if rng.random() < 0.85 else side  # the thumb's side
    ahead = np.array([np.cos(angle), np.sin(angle)], np.float32)
    across = np.array([-ahead[1], ahead[0]], np.float32) * turn
    heel = wrist - ahead * palm * 0.1
    corners = [(0, -0.25), (0.35, -0.36), (0.8, -0.4), (1.0, -0.3), (1.04, 0.1), (0.95, 0.36), (0.5, 0.4), (0, 0.27)]
    outlines = [closed_curve([heel + palm * (a * ahead + b * across) for a, b in corners], 3)]
    for number, (spread, length) in enumerate(fingers):
        root = heel + palm * ((0.93 * ahead + (-0.28 + 0.2 * number) * across) if number < 4 else (0.35 * ahead + 0.28 * across))
        way = ahead * np.cos(spread) + across * np.sin(spread)
        outlines.append(capsule(root, root + palm * length * way, palm * 0.105, palm * 0.085))
    _lay(canvas, person, outlines, person.skin[:, None, None], palm * 0.25)
    gaps = [np.stack([heel + palm * ((0.9 + d) * ahead + (-0.18 + 0.2 * n) * across) for d in (0.0, 0.25)]) for n in range(3)]
    canvas.shade(strokes(person.size, gaps, palm * 0.04), 0.62)


def _sleeve(joints: Points, thick: Float, share: float) -> list[Points]:
    """Upper arm and forearm up to `share` of the arm's length."""
    shoulder, elbow, wrist = joints
    if share <= 0.5:
        end = shoulder + (elbow - shoulder) * min(1.0, share * 2)
        return [capsule(shoulder, end, thick[0], thick[1] * 1.15)]
    end = elbow + (wrist - elbow) * (share * 2 - 1)
    return [capsule(shoulder, elbow, thick[0], thick[1]), capsule(elbow, end, thick[1], thick[2] * 1.15)]


def _lay(canvas: Canvas, person: Person, outlines: list[Points], colour: Float, radius: float) -> None:
    patch = fill(person.size, *outlines, soft=0.3)
    cast = fill(person.size, *outlines, soft=max(0.8, person.unit * 0.025))
    canvas.shade(cast, 0.72)  # it throws a thin shadow on what lies behind
    canvas.over(patch, (colour if colour.shape[1:] == (1, 1) else on(patch, colour)) * relief(patch, person.light, radius, 1.3))
