"""The window, with all that a user does at it: keys, sliders, pausing, recording."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from portraitseg.image import UInt8
from portraitseg.live.controls import Controls, Slider
from portraitseg.live.frames import Frame
from portraitseg.live.recorder import Recorder

PAUSE = 0.03
"""Seconds between two looks at the keys while the picture stands."""
LATE = 0.5
"""Seconds behind its time from which on a clip is not hurried to make up for them."""


class Pane(Protocol):
    """What the desk needs of `sinks.window.Window`."""

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`."""

    def poll(self, seconds: float = 0.0) -> str | None:
        """Wait for a key."""

    def add_sliders(self, sliders: Sequence[tuple[str, int, int]]) -> None:
        """Each of a name, a place and its last place."""

    def slider(self, name: str) -> int:
        """Where it stands."""

    def move_slider(self, name: str, place: int) -> None:
        """Put it elsewhere."""

    def finish(self) -> None:
        """See `Sink`."""

    def close(self) -> None:
        """See `Sink`."""


class Desk:
    """A sink: shows composites, and turns what the user does into changes of the look. In the main thread."""

    done = None

    def __init__(
        self,
        window: Pane,
        controls: Controls,
        recorder: Recorder,
        *,
        sliders: Sequence[Slider],
        overlay: Callable[[UInt8], UInt8],
        paced: bool,
        stopped: Callable[[], bool],
    ) -> None:
        """Put it together.

        Args:
            window: where composites are shown.
            controls: what keys do.
            recorder: gets the composites without the overlay.
            sliders: are put under the window when it opens.
            overlay: draws on a copy of the composite, or gives it back as it is.
            paced: show each frame at its time, as for a file, whose frames come as fast as they can be made.
            stopped: the run is to end, paused or not.
        """
        self._window, self._controls, self._recorder = window, controls, recorder
        self._sliders, self._overlay, self._paced, self._stopped = sliders, overlay, paced, stopped
        self._places: dict[str, int] = {}
        self._origin: float | None = None

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`. Comes back when the frame's time is over, and after a pause."""
        self._recorder.write(frame, image)
        self._window.write(frame, self._overlay(image))
        self._serve(self._wait(frame.time))
        while self._controls.look.paused and not self._stopped():
            self._serve(PAUSE)
            self._origin = None  # the clip's time stood still

    def finish(self) -> None:
        """See `Sink`."""
        self.close()

    def close(self) -> None:
        """See `Sink`."""
        self._recorder.close()
        self._window.close()

    def _wait(self, due: float) -> float:
        """Seconds until a frame that is due at this time of its clip has been shown for long enough."""
        if not self._paced:
            return 0.0
        now = time.monotonic()
        if self._origin is None or now - self._origin - due > LATE:
            self._origin = now - due
        return max(0.0, due - (now - self._origin))

    def _serve(self, seconds: float) -> None:
        """Let the window draw, and do what keys and sliders say."""
        if not self._places:
            self._put_sliders()
        key = self._window.poll(seconds)
        if key is not None:
            self._controls.press(key)
        self._controls.release()
        for slider in self._sliders:
            self._follow(slider)

    def _put_sliders(self) -> None:
        self._places = {slider.name: slider.place(self._controls.look) for slider in self._sliders}
        self._window.add_sliders([(slider.name, self._places[slider.name], slider.steps) for slider in self._sliders])

    def _follow(self, slider: Slider) -> None:
        """Where the user has moved a slider, the look follows; where a key has changed the look, the slider does."""
        look, place = self._controls.look, self._window.slider(slider.name)
        if place != self._places[slider.name]:
            slider.move(look, place)
        elif slider.place(look) != place:
            place = slider.place(look)
            self._window.move_slider(slider.name, place)
        self._places[slider.name] = place
