"""Steadier masks: the prob of each frame is weighed against those before it, where the picture stood still.

Everything is told in seconds, so that a clip of 60 frames a second and one of 15 are steadied alike. docs/steady.md compares the kinds.
"""

from collections.abc import Callable
from typing import Protocol

from portraitseg.errors import InputError
from portraitseg.image import Float32, UInt8
from portraitseg.live.smoothing.averages import Flow, MotionGatedAverage
from portraitseg.live.smoothing.hysteresis import Hysteresis
from portraitseg.live.smoothing.one_euro import OneEuro
from portraitseg.live.smoothing.steady import Steady, Unsteadied

__all__ = ["SMOOTHERS", "Smoother", "smoother"]


class Smoother(Protocol):
    """Takes the frames of one clip in their order."""

    strength: float
    """In [0,1]: 0 leaves the prob as it is. May be set between two frames."""

    def __call__(self, prob: Float32, image: UInt8, seconds: float) -> Float32:
        """Steady the prob of the next frame.

        What is remembered is forgotten where the clip does not go on: at a cut, another size of either, a time that jumps back or by more
        than a second.

        Args:
            prob: (h,w) in [0,1], of any size, lying on the whole picture; it is not written to.
            image: RGB (H,W,3), the frame.
            seconds: the frame's time.

        Returns:
            (h,w) in [0,1]; holds after the next call. It may be `prob` itself.

        Raises:
            InputError: the prob holds NaN or an infinite number.
        """

    def reset(self) -> None:
        """Forget what was seen."""


SMOOTHERS: dict[str, Callable[[float], Smoother]] = {
    "none": lambda strength: Unsteadied(),
    "ema": lambda strength: Steady(MotionGatedAverage(), strength),
    "one-euro": lambda strength: Steady(OneEuro(), strength),
    "hysteresis": lambda strength: Steady(Hysteresis(), strength),
    "flow": lambda strength: Steady(Flow(), strength),
}
"""Name -> what makes one of a strength."""


def smoother(name: str, strength: float = 0.5) -> Smoother:
    """Make a smoother.

    Args:
        name: of `SMOOTHERS`.
        strength: in [0,1], see `Smoother`.

    Raises:
        InputError: there is no such name, or the strength is outside [0,1].
    """
    if name not in SMOOTHERS:
        raise InputError(f"there is no smoothing {name!r}; choose one of {', '.join(SMOOTHERS)}")
    return SMOOTHERS[name](strength)
