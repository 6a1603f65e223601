"""A whole person, part after part from the back to the front."""

from portraitseg.data.drawn import arms, clothing, face, hair, hats
from portraitseg.data.drawn.drawing import Canvas, pick
from portraitseg.data.drawn.person import Person

BALD = 0.06
HAT = 0.2
BEARD = 0.24
GLASSES = 0.24
EARRINGS = 0.15
RAISED_HAND = 0.16


def draw_figure(canvas: Canvas, person: Person) -> None:
    """Draw the person; what the canvas holds already lies behind."""
    rng = person.rng
    top = pick(rng, list(clothing.TOPS.values()))
    style = None if rng.random() < BALD else pick(rng, list(hair.STYLES.values()))
    hat = pick(rng, list(hats.HATS)) if rng.random() < HAT else ""
    if hat in hats.HIDES_ALL:
        style = None
    if style:
        hair.draw_back(canvas, person, style)
    poses = _poses(person)
    if hat in hats.BACKS:
        hats.draw_back(canvas, person, hats.BACKS[hat])
    torso = clothing.draw_torso(canvas, person, top)
    clothing.draw_details(canvas, person, top, torso)
    _draw_arms(canvas, person, poses, top, raised=False)
    _draw_head(canvas, person, style, hat)
    _draw_arms(canvas, person, poses, top, raised=True)


def _draw_head(canvas: Canvas, person: Person, style: hair.Style | None, hat: str) -> None:
    rng = person.rng
    skull = face.draw_head(canvas, person)
    if rng.random() < BEARD and (style is None or style.length < hair.LONG or rng.random() < 0.2):
        hair.draw_beard(canvas, person, skull)
    if rng.random() < GLASSES:
        face.draw_glasses(canvas, person)
    if style and (not hat or hat in hats.OVER_HAIR):
        hair.draw_cap(canvas, person, style)
    if rng.random() < EARRINGS:
        face.draw_jewellery(canvas, person)
    if style and style.length > hair.LONG:
        hair.draw_locks(canvas, person, style)
    if hat:
        hats.HATS[hat](canvas, person)


def _poses(person: Person) -> dict[float, arms.Pose]:
    """A pose for either arm; both folded or both in the lap more often than chance."""
    rng = person.rng
    both = "down" if rng.random() < 0.4 else pick(rng, arms.RESTING)
    chosen = {side: both if rng.random() < 0.8 else pick(rng, arms.RESTING) for side in (-1.0, 1.0)}
    for side in chosen:
        if rng.random() < RAISED_HAND:
            chosen[side] = pick(rng, arms.RAISED)
    return {side: arms.POSES[name] for side, name in chosen.items()}


def _draw_arms(canvas: Canvas, person: Person, poses: dict[float, arms.Pose], top: clothing.Top, *, raised: bool) -> None:
    for side, pose in poses.items():
        if pose.raised == raised:
            arms.draw_arm(canvas, person, pose, side, top.sleeve)
