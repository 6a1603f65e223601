"""What the user can change while the pipeline runs."""

import math
from dataclasses import dataclass

from portraitseg.errors import InputError


@dataclass(kw_only=True)
class Look:
    """How composites are made. Set by one thread, read by others: each field is a whole thing of its own."""

    background: int = 0
    """Which of the backgrounds, counted round."""
    threshold: float = 0.5
    """The prob at which a pixel is half the person's, in (0,1)."""
    feather: float = 0.8
    """Width of the ramp from background to person, in prob; 0 cuts hard."""
    soften: float = 0
    """Standard deviation in pixels of the frame of a blur of the mask, 0 to 50; 0: none."""
    smoothing: float = 0.5
    """Strength of the smoothing in time, in [0,1]."""
    skip: int = 0
    """Frames after each one that the net sees, which get its prob."""
    smooth_step: bool = True
    """The ramp eases in and out; otherwise it is straight."""
    colour_transfer: bool = False
    """The person gets the background's colours, by their statistics."""
    seamless: bool = False
    """The person is cloned in the gradient domain."""
    harmonize: bool = False
    """The person's colours are fitted to the background by a net."""
    subtract: bool = False
    """Background subtraction in the net's place."""
    show_times: bool = False
    """An overlay tells frames a second and how long each stage takes."""
    show_help: bool = False
    """An overlay tells the keys."""
    paused: bool = False
    """The picture stands."""

    def __post_init__(self) -> None:
        """Refuse what is out of range.

        Raises:
            InputError: a number is.
        """
        ends = {"threshold": (0.01, 0.99), "feather": (0, 1), "soften": (0, 50), "smoothing": (0, 1)}
        ends |= {"skip": (0, math.inf), "background": (0, math.inf)}
        for name, (low, high) in ends.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise InputError(f"{name.replace('_', '-')} must be from {low} to {high}, got {value}")

    def toggle(self, name: str) -> None:
        """Turn a field that is on or off to the other."""
        setattr(self, name, not getattr(self, name))
