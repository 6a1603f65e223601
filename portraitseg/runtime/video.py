"""Consecutive frames: a model with a prior channel is fed its own last prob."""

from portraitseg.card import Card
from portraitseg.image import Float32, UInt8, to_input
from portraitseg.runtime.base import Runtime, as_input


class Video:
    """A runtime for the frames of a clip, one after the other.

    With four channels, the fourth is the prob that the model gave for the frame before, at the model's size and in [0,1], and 0 for the
    first frame. A model of three channels is run as it is.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._prior: Float32 | None = None

    @property
    def card(self) -> Card:
        """The model's."""
        return self._runtime.card

    def cut(self) -> None:
        """Start a clip: the next frame has no prior."""
        self._prior = None

    def __call__(self, image: UInt8) -> Float32:
        """See `Runtime`; the picture is the next frame."""
        if self.card.channels == 3:
            return self._runtime(image)
        return self.run(to_input(image, self.card))

    def run(self, x: Float32 | UInt8) -> Float32:
        """See `Runtime`; in an input of four channels the fourth is overwritten."""
        if self.card.channels == 3:
            return self._runtime.run(x)
        x = as_input(x, self.card).copy()
        x[..., 3] = 0 if self._prior is None else self._prior
        self._prior = self._runtime.run(x)
        return self._prior
