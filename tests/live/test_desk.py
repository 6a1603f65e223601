import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.live import desk as desks
from portraitseg.live.controls import Controls, sliders
from portraitseg.live.desk import Desk
from portraitseg.live.frames import Frame
from portraitseg.live.look import Look
from portraitseg.live.recorder import Recorder
from tests.live.fakes import Memory

IMAGE = np.full((4, 6, 3), 7, np.uint8)


class Glass:
    """A window of which a test decides the keys and moves the sliders, and whose time passes only while it waits for a key."""

    def __init__(self) -> None:
        self.keys: list[str | None] = []
        self.places: dict[str, int] = {}
        self.shown: list[np.ndarray] = []
        self.waits: list[float] = []
        self.closed = 0

    def write(self, frame: Frame, image: np.ndarray) -> None:
        self.shown.append(image.copy())

    def poll(self, seconds: float = 0.0) -> str | None:
        self.waits.append(seconds)
        return self.keys.pop(0) if self.keys else None

    def add_sliders(self, sliders) -> None:
        self.places = {name: place for name, place, _ in sliders}

    def slider(self, name: str) -> int:
        return self.places[name]

    def move_slider(self, name: str, place: int) -> None:
        self.places[name] = place

    def close(self) -> None:
        self.closed += 1


class Room:
    """A desk with everything on it."""

    def __init__(self, *, paced: bool = False) -> None:
        self.look, self.glass, self.files, self.quits = Look(), Glass(), [], 0
        self.recorder = Recorder(self._file, notice=lambda line: self.notices.append(line))
        self.notices: list[str] = []
        self.desk = Desk(
            self.glass,
            Controls(look=self.look, record=self.recorder.toggle, quit=self._quit),
            self.recorder,
            sliders=sliders(3),
            overlay=lambda image: image + 1,
            paced=paced,
            stopped=lambda: self.quits > 0,
        )

    def _file(self) -> Memory:
        self.files.append(Memory())
        return self.files[-1]

    def _quit(self) -> None:
        self.quits += 1

    def show(self, index: int = 0, *keys: str | None) -> None:
        self.glass.keys += keys
        self.desk.write(Frame(image=IMAGE, time=index / 10, index=index), IMAGE)


def test_keys_reach_the_look_and_the_sliders_follow_them():
    room = Room()
    room.show(0, "b")
    room.show(1, "b")
    assert room.look.background == 2 and room.glass.places["background"] == 2
    room.show(2, "b")
    assert room.glass.places["background"] == 0  # counted round


def test_a_slider_that_is_moved_moves_the_look():
    room = Room()
    room.show(0)
    assert room.glass.places == {"background": 0, "threshold": 50, "feather": 80, "smoothing": 50, "skip": 0}
    room.glass.places.update(threshold=20, smoothing=0, skip=3, background=1)
    room.show(1)
    assert (room.look.threshold, room.look.smoothing, room.look.skip, room.look.background) == (0.2, 0.0, 3, 1)


def test_the_recording_has_what_was_shown_between_two_presses_without_the_overlay():
    room = Room()
    for index, key in enumerate([None, "r", None, None, "r", None, "r"]):
        room.show(index, key)
    room.desk.close()
    assert [file.indices for file in room.files] == [[2, 3, 4], []]
    assert all((file.finished, file.closed) == (1, 1) for file in room.files)
    assert room.files[0].pixels == [[7, 7, 7]] * 3 and room.glass.shown[0][0, 0].tolist() == [8, 8, 8]
    assert room.glass.closed == 1


def test_a_recording_that_fails_is_told_and_the_picture_goes_on():
    room = Room()

    class Full(Memory):
        def write(self, frame, image):
            raise InputError("the disk is full")

    room.recorder._open = lambda: room.files.append(Full()) or room.files[-1]
    room.show(0, "r")
    room.show(1)
    room.show(2)
    assert room.notices == ["recording: the disk is full"] and not room.recorder.on
    assert (room.files[0].finished, room.files[0].closed) == (0, 1) and len(room.glass.shown) == 3


def test_a_pause_holds_the_frame_until_the_key_comes_again_and_other_keys_work_meanwhile():
    room = Room()
    room.show(0, " ", None, "b", None, " ")
    assert not room.look.paused and room.look.background == 1 and room.glass.keys == []
    assert room.glass.waits[1:] == [desks.PAUSE] * 4


def test_a_run_that_is_to_end_does_not_stay_in_a_pause():
    room = Room()
    room.show(0, " ", "q")
    assert room.look.paused and room.quits == 1


@pytest.mark.parametrize("paced", [True, False])
def test_a_files_frames_are_shown_at_their_times(monkeypatch, paced):
    now = [100.0]
    monkeypatch.setattr(desks.time, "monotonic", lambda: now[0])
    room = Room(paced=paced)
    for index in range(4):
        room.show(index)
        now[0] += room.glass.waits[-1] + 0.03  # making a frame takes 30 ms of its 100
    assert np.allclose(room.glass.waits, [0, 0.07, 0.07, 0.07] if paced else 0)
    now[0] += 5  # something took 5 s: the clip goes on from there, and does not run after its time
    room.show(4)
    room.show(5)
    assert np.allclose(room.glass.waits[-2:], [0, 0.1] if paced else 0)
