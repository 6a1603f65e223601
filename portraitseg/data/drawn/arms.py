"""Arms and hands, in the body's frame."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from portraitseg.data.drawn.cloth import Cloth, on
from portraitseg.data.drawn.drawing import Canvas, Float, Frame, Points, fill, relief, soften, strokes
from portraitseg.data.drawn.person import Person
from portraitseg.data.drawn.shapes import capsule, closed_curve


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
    hand = hand_outlines(person, elbow, wrist, HANDS[pose.hand], side)
    _lay(canvas, person, [*hand, *(limbs if sleeve < 0.5 else limbs[1:])], person.skin, unit * 0.1)
    if hand:
        _draw_gaps(canvas, person, hand)
    if sleeve > 0.0:
        _lay(canvas, person, _sleeve(np.stack([shoulder, elbow, wrist]), thick * 1.15, sleeve), person.cloth, unit * 0.14)


def hand_outlines(person: Person, elbow: Points, wrist: Points, fingers: Sequence[tuple[float, float]], side: float) -> list[Points]:
    """Palm, four fingers and a thumb, on from the forearm or bent at the wrist; nothing when out of the picture."""
    rng, palm = person.rng, person.unit * person.rng.uniform(0.32, 0.4)
    angle = float(np.arctan2(*(wrist - elbow)[::-1])) + rng.normal(0, 0.25)
    turn = -side if rng.random() < 0.85 else side  # the thumb's side
    if np.abs(wrist / person.size - 0.5).max() > 0.5 + 2.5 * palm / person.size:
        return []
    ahead = np.array([np.cos(angle), np.sin(angle)], np.float32) * palm
    across = np.array([-ahead[1], ahead[0]], np.float32) * turn
    hand = Frame(wrist - ahead * 0.1, np.stack([ahead, across], 1))
    corners = [(0, -0.25), (0.35, -0.36), (0.8, -0.4), (1.0, -0.3), (1.04, 0.1), (0.95, 0.36), (0.5, 0.4), (0, 0.27)]
    roots = [(0.93, -0.28), (0.93, -0.08), (0.93, 0.12), (0.93, 0.32), (0.35, 0.28)]
    tips = [(x + length * np.cos(spread), y + length * np.sin(spread)) for (x, y), (spread, length) in zip(roots, fingers, strict=True)]
    bones = zip(hand(roots), hand(tips), strict=True)
    return [closed_curve(hand(corners), 3), *(capsule(root, tip, palm * 0.105, palm * 0.085) for root, tip in bones)]


def _draw_gaps(canvas: Canvas, person: Person, hand: list[Points]) -> None:
    """The lines between the fingers, from the knuckles on."""
    middles = np.stack([finger.mean(0) for finger in hand[1:5]])
    knuckles = middles + 0.6 * (hand[0].mean(0) - middles)
    lines = np.stack([knuckles[:-1] + knuckles[1:], middles[:-1] + middles[1:]], 1) / 2
    canvas.shade(strokes(person.size, lines, person.unit * 0.014), 0.62)


def _sleeve(joints: Points, thick: Float, share: float) -> list[Points]:
    """Upper arm and forearm up to `share` of the arm's length."""
    shoulder, elbow, wrist = joints
    if share <= 0.5:
        end = shoulder + (elbow - shoulder) * min(1.0, share * 2)
        return [capsule(shoulder, end, thick[0], thick[1] * 1.15)]
    end = elbow + (wrist - elbow) * (share * 2 - 1)
    return [capsule(shoulder, elbow, thick[0], thick[1]), capsule(elbow, end, thick[1], thick[2] * 1.15)]


def _lay(canvas: Canvas, person: Person, outlines: list[Points], material: Cloth | Float, radius: float) -> None:
    reach = max(0.8, person.unit * 0.025)
    patch = fill(person.size, *outlines, margin=2.5 * reach)
    if patch.alpha.size:  # it throws a thin shadow on what lies behind
        canvas.shade(patch._replace(alpha=soften(patch.alpha, reach)), 0.8)
    canvas.over(patch, on(patch, material) * relief(patch, person.light, radius, 1.3))
