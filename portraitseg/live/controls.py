"""Keys and sliders of the window."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from portraitseg.live.look import Look

HELD = {"c": "colour_transfer", "s": "seamless", "m": "smooth_step", "h": "harmonize"}
"""Keys that turn an effect over for as long as they are held; with Shift, until the next time."""
TOGGLES = {"g": "subtract", "f": "show_times", " ": "paused", "?": "show_help"}
QUIT = ("q", "esc")
FIRST_REPEAT = 0.7
"""Seconds until a held key repeats for the first time, at the most: systems wait 0.25 to 0.66."""
NEXT_REPEAT = 0.2
"""Seconds between further repeats, at the most: systems send 10 to 40 a second."""

HELP = """\
C: colour transfer while held (Shift+C: on)
S: seamless clone while held (Shift+S: on)
M: smooth step off while held (Shift+M: off)
H: harmonize while held (Shift+H: on)
B: next background
G: background subtraction
F: frames a second and times
R: record
space: pause
?: this help
Q, Esc: quit"""


@dataclass(kw_only=True)
class Controls:
    """Turns keys into changes of a `Look`."""

    look: Look
    record: Callable[[], None]
    """Starts a recording, or ends it."""
    quit: Callable[[], None]
    subtract: Callable[[], None] = lambda: None
    """Called when background subtraction is turned on: it learns anew."""
    now: Callable[[], float] = time.monotonic
    _held: dict[str, tuple[float, bool]] = field(default_factory=dict)
    """Key -> until when it counts as held, and whether it has repeated."""

    def press(self, key: str) -> None:
        """A key came, as a character: once when it is pressed, again and again while it is held."""
        if key in QUIT:
            self.quit()
        elif key in HELD:
            self._hold(key)
        elif key.lower() in HELD:
            self._lock(key.lower())
        else:
            self._once(key.lower())

    def release(self) -> None:
        """Let go of the keys that no longer repeat. To be called often."""
        for key, (until, _) in list(self._held.items()):
            if self.now() > until:
                del self._held[key]
                self.look.toggle(HELD[key])

    def _hold(self, key: str) -> None:
        repeats = key in self._held
        if not repeats:
            self.look.toggle(HELD[key])
        self._held[key] = self.now() + (NEXT_REPEAT if repeats else FIRST_REPEAT), repeats

    def _lock(self, key: str) -> None:
        """What a held key has turned stays; otherwise it is turned."""
        if self._held.pop(key, None) is None:
            self.look.toggle(HELD[key])

    def _once(self, key: str) -> None:
        if key == "b":
            self.look.background += 1
        elif key == "r":
            self.record()
        elif key in TOGGLES:
            self.look.toggle(TOGGLES[key])
            if key == "g" and self.look.subtract:
                self.subtract()


@dataclass(frozen=True, kw_only=True)
class Slider:
    """A slider of the window for a number of the `Look`."""

    name: str
    """The field's."""
    steps: int
    """The slider goes from 0 to this."""
    scale: float
    """The field is the slider's place times this, but not less than `least`."""
    least: float = 0.0

    def place(self, look: Look) -> int:
        """Where the slider stands."""
        place = round(float(getattr(look, self.name)) / self.scale)
        return place % (self.steps + 1) if self.name == "background" else min(self.steps, place)

    def move(self, look: Look, place: int) -> None:
        """Set the field."""
        value = max(self.least, place * self.scale)
        setattr(look, self.name, int(value) if self.name in ("skip", "background") else value)


def sliders(backgrounds: int) -> list[Slider]:
    """Of a window with so many backgrounds."""
    return [
        *([Slider(name="background", steps=backgrounds - 1, scale=1)] if backgrounds > 1 else []),
        Slider(name="threshold", steps=100, scale=0.01, least=0.01),
        Slider(name="feather", steps=100, scale=0.01),
        Slider(name="smoothing", steps=100, scale=0.01),
        Slider(name="skip", steps=10, scale=1),
    ]
