import pytest

from portraitseg.errors import InputError
from portraitseg.live.controls import FIRST_REPEAT, NEXT_REPEAT, Controls, Slider, sliders
from portraitseg.live.look import Look


class Desk:
    """Controls with a clock that a test moves, and what they did."""

    def __init__(self) -> None:
        self.time, self.done = 0.0, []
        self.look = Look()
        self.controls = Controls(
            look=self.look,
            record=lambda: self.done.append("record"),
            quit=lambda: self.done.append("quit"),
            subtract=lambda: self.done.append("learn"),
            now=lambda: self.time,
        )

    def wait(self, seconds: float) -> None:
        self.time += seconds
        self.controls.release()


@pytest.mark.parametrize(
    ("key", "name", "before"),
    [("c", "colour_transfer", False), ("s", "seamless", False), ("m", "smooth_step", True), ("h", "harmonize", False)],
)
def test_an_effect_is_turned_over_while_its_key_is_held(key, name, before):
    desk = Desk()
    desk.controls.press(key)
    assert getattr(desk.look, name) is not before
    desk.wait(FIRST_REPEAT * 0.9)  # the system has not repeated it yet
    assert getattr(desk.look, name) is not before
    for _ in range(50):
        desk.controls.press(key)
        desk.wait(NEXT_REPEAT * 0.9)
        assert getattr(desk.look, name) is not before
    desk.wait(NEXT_REPEAT)
    assert getattr(desk.look, name) is before


def test_a_key_that_was_only_tapped_is_let_go_after_the_first_repeat_failed_to_come():
    desk = Desk()
    desk.controls.press("c")
    desk.wait(FIRST_REPEAT * 1.1)
    assert not desk.look.colour_transfer


def test_shift_keeps_an_effect_on_until_it_is_pressed_again():
    desk = Desk()
    desk.controls.press("C")
    desk.wait(60)
    assert desk.look.colour_transfer
    desk.controls.press("C")
    assert not desk.look.colour_transfer


def test_shift_during_a_hold_keeps_what_the_hold_turned():
    desk = Desk()
    desk.controls.press("h")
    desk.controls.press("H")
    desk.wait(60)
    assert desk.look.harmonize


def test_the_other_keys():
    desk = Desk()
    for key in [*"bBfF gG?rq", "esc", "z"]:
        desk.controls.press(key)
    assert desk.look.background == 2
    assert not desk.look.show_times and not desk.look.subtract  # turned twice each
    assert desk.look.paused and desk.look.show_help
    assert desk.done == ["learn", "record", "quit", "quit"]


def test_a_slider_stands_where_the_look_is_and_moves_it():
    look = Look(threshold=0.3)
    slider = Slider(name="threshold", steps=100, scale=0.01, least=0.01)
    assert slider.place(look) == 30
    slider.move(look, 0)
    assert look.threshold == 0.01
    skip = next(slider for slider in sliders(1) if slider.name == "skip")
    skip.move(look, 3)
    assert look.skip == 3 and isinstance(look.skip, int)


def test_there_is_a_slider_for_backgrounds_only_if_there_is_a_choice():
    assert [slider.name for slider in sliders(1)] == ["threshold", "feather", "smoothing", "skip"]
    assert sliders(3)[0] == Slider(name="background", steps=2, scale=1)
    assert sliders(3)[0].place(Look(background=4)) == 1  # counted round


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0}, {"feather": 1.1}, {"soften": 51}, {"smoothing": -0.1}, {"skip": -1}, {"threshold": float("nan")}]
)
def test_a_number_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Look(**wrong)
