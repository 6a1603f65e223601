import math

import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.image import write
from portraitseg.live.effects import Effects
from portraitseg.live.frames import Frame
from portraitseg.live.look import Look

RED, BLUE = (255, 0, 0), (0, 0, 255)


def frame(height: int = 72, width: int = 128, colour: tuple[int, int, int] = RED) -> Frame:
    return Frame(image=np.full((height, width, 3), colour, np.uint8), time=0.0, index=0)


def left_half(height: int = 36, width: int = 64) -> np.ndarray:
    prob = np.zeros((height, width), np.float32)
    prob[:, : width // 2] = 1
    return prob


@pytest.mark.parametrize("edges", [True, False])
def test_the_person_stands_before_the_background(edges):
    out = Effects(["blue"], edges=edges)(frame(), left_half())
    assert (out[:, :56] == RED).all() and (out[:, 72:] == BLUE).all()


def test_threshold_and_feather_move_and_narrow_the_edge():
    ramp = np.tile(np.linspace(0, 1, 128, dtype=np.float32), (72, 1))
    look = Look(threshold=0.25, feather=0)
    alpha = Effects(["blue"], look=look, edges=False).alpha(frame().image, ramp)
    assert len(set(np.unique(alpha)) - {0, 255}) <= 1 and abs(int((alpha[0] == 0).sum()) - 32) <= 1
    look.feather = 0.5
    soft = Effects(["blue"], look=look, edges=False).alpha(frame().image, ramp)[0] / 255
    place = np.clip((ramp[0] - 0.25) / 0.5 + 0.5, 0, 1)
    assert np.abs(soft - place**2 * (3 - 2 * place)).max() < 0.01
    look.smooth_step = False
    straight = Effects(["blue"], look=look, edges=False).alpha(frame().image, ramp)[0] / 255
    assert np.abs(straight - place).max() < 0.01


def test_a_softened_mask_is_the_edge_blurred_by_a_gaussian():
    look = Look(soften=4)
    alpha = Effects(["blue"], look=look, edges=False).alpha(frame().image, left_half(72, 128))
    wanted = [(1 - math.erf((x + 0.5 - 64) / (4 * math.sqrt(2)))) / 2 for x in range(128)]
    assert np.abs(alpha / 255 - wanted).max() < 0.01
    out = Effects(["blue"], look=look, edges=False)(frame(), left_half(72, 128))
    assert np.abs(out[36, :, 0] / 255 - wanted).max() < 0.01 and np.abs(out[36, :, 2] / 255 - 1 + np.array(wanted)).max() < 0.01


def test_backgrounds_are_taken_in_turn():
    look = Look()
    effects = Effects(["blue", "lime"], look=look, edges=False)
    seen = []
    for look.background in range(3):
        seen.append(effects(frame(), left_half())[0, 127].tolist())
    assert seen == [list(BLUE), [0, 255, 0], list(BLUE)]


def test_a_blurred_background_holds_nothing_of_the_person():
    image = np.full((72, 128, 3), (0, 200, 0), np.uint8)
    image[:, :64] = RED
    out = Effects(["blur"], edges=False)(Frame(image=image, time=0, index=0), left_half())
    assert (out[:, :60] == RED).all()
    assert np.abs(out[:, 72:].astype(int) - (0, 200, 0)).max() <= 3


def test_transparent_composites_are_the_person_with_alpha():
    out = Effects(["blue"], edges=False, transparent=True)(frame(), left_half())
    assert out.shape == (72, 128, 4)
    assert (out[:, :56] == (*RED, 255)).all() and (out[:, 72:] == 0).all()


@pytest.mark.parametrize("switch", ["colour_transfer", "seamless"])
def test_a_colour_effect_moves_the_person_towards_the_background_and_nothing_else(switch):
    look, rng = Look(), np.random.default_rng(0)
    image = np.clip(rng.normal(150, 30, (72, 128, 3)), 0, 255).astype(np.uint8)
    effects = Effects(["navy"], look=look, edges=False)
    plain = effects(Frame(image=image, time=0, index=0), left_half()).copy()
    setattr(look, switch, True)
    changed = effects(Frame(image=image, time=0, index=1), left_half())
    navy = np.array([0, 0, 128])
    assert np.abs(changed[:, :48] - navy).mean() < np.abs(plain[:, :48] - navy).mean()
    assert (changed[:, 72:] == plain[:, 72:]).all()


def test_only_the_largest_part_is_kept_and_holes_are_filled():
    prob = np.zeros((36, 64), np.float32)
    prob[5:30, 5:30] = 1
    prob[15:18, 15:18] = 0  # a hole
    prob[20:24, 50:54] = 1  # somebody else
    alpha = Effects(["blue"], edges=False, largest=True, holes=True).alpha(frame().image, prob)
    plain = Effects(["blue"], edges=False).alpha(frame().image, prob)
    assert plain[33, 33] == 0 and alpha[33, 33] == 255
    assert plain[44, 104] == 255 and alpha[44, 104] == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (33, 17), (1080, 607)])
@pytest.mark.parametrize("fill", [0.0, 0.5, 1.0])
def test_every_size_and_every_prob_gives_a_composite_of_the_frames_size(size, fill):
    look = Look(colour_transfer=True, seamless=True)
    effects = Effects(["blur", "bokeh", "blue"], look=look, largest=True, holes=True, clean=True)
    for look.background in range(3):
        out = effects(frame(*size), np.full((16, 16), fill, np.float32))
        assert out.shape == (*size, 3) and out.dtype == np.uint8


def test_frames_may_change_their_size():
    effects = Effects(["blue"])
    for size in [(72, 128), (128, 72), (72, 128), (1, 1)]:
        assert effects(frame(*size), left_half()).shape == (*size, 3)


def test_a_video_and_a_picture_stand_behind(tmp_path):
    write(tmp_path / "blue.png", np.full((10, 10, 3), BLUE, np.uint8))
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 36))
    for grey in (50, 200):
        writer.write(np.full((36, 64, 3), grey, np.uint8))
    writer.release()
    look = Look()
    effects = Effects([str(tmp_path / "blue.png"), str(tmp_path / "v.avi")], look=look, edges=False)
    assert effects(frame(), left_half())[0, 127].tolist() == list(BLUE)
    look.background = 1
    for time, grey in [(0.05, 50), (0.15, 200), (0.25, 50)]:
        shown = effects(Frame(image=frame().image, time=time, index=0), left_half())
        assert abs(int(shown[0, 127, 0]) - grey) <= 4
    effects.close()


def test_a_background_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="no such file"):
        Effects(["nowhere.jpg"])
