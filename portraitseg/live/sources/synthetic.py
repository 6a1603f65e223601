"""A drawn person that moves: for tests, for measurements, and for those who have no camera."""

import math
import re
import threading
from collections.abc import Iterator

import cv2
import numpy as np

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live.frames import Frame, Position

FORM = re.compile(r"synthetic(:(?P<width>[1-9]\d{0,4})x(?P<height>[1-9]\d{0,4})(@(?P<fps>\d+(\.\d+)?))?(:(?P<count>\d+))?)?")
SWAY = 4.0  # seconds from one side to the other and back


class Synthetic:
    """The same frames each time, as fast as they are taken."""

    live = False

    def __init__(self, text: str, *, after: Position | None = None) -> None:
        """Read "synthetic", "synthetic:WIDTHxHEIGHT", "synthetic:WIDTHxHEIGHT@FPS" or "synthetic:WIDTHxHEIGHT@FPS:FRAMES".

        Raises:
            InputError: it is written otherwise.
        """
        form = FORM.fullmatch(text)
        if form is None or (form["fps"] is not None and float(form["fps"]) == 0):
            raise InputError(f'a synthetic source is written "synthetic:1280x720@30:300" (size, FPS, frames), got {text!r}')
        self._size = (int(form["height"] or 720), int(form["width"] or 1280))
        self.fps = float(form["fps"] or 30)
        self.count = int(form["count"]) if form["count"] else None
        self._start = after.index + 1 if after else 0
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        """See `Source`."""
        wall = _wall(self._size)
        index = self._start
        while not self._closed.is_set() and (self.count is None or index < self.count):
            yield Frame(image=_person(wall.copy(), index / self.fps), time=index / self.fps, index=index)
            index += 1

    def close(self) -> None:
        """See `Source`."""
        self._closed.set()


def mask(size: tuple[int, int], time: float) -> UInt8:
    """The truth (H,W), 0 to 255, of the synthetic frame of `size` (h,w) at `time` seconds."""
    return _person(np.zeros((*size, 3), np.uint8), time, skin=(255, 255, 255), shirt=(255, 255, 255))[..., 0]


def _wall(size: tuple[int, int]) -> UInt8:
    """A wall with a window, RGB (h,w,3)."""
    height, width = size
    ramp = np.linspace(150, 90, height)[:, None, None] * np.array([1.0, 0.95, 0.85])
    wall = np.broadcast_to(ramp.astype(np.uint8), (height, width, 3)).copy()
    cv2.rectangle(wall, (width * 6 // 10, height // 10), (width * 9 // 10, height * 5 // 10), (190, 220, 240), -1)
    return wall


def _person(
    image: UInt8, time: float, *, skin: tuple[int, int, int] = (224, 172, 140), shirt: tuple[int, int, int] = (40, 70, 120)
) -> UInt8:
    """Draw head, neck and shoulders at `time` seconds into `image`."""
    height, width = image.shape[:2]
    unit = min(height, width) / 10
    x = width / 2 + 1.5 * unit * math.sin(2 * math.pi * time / SWAY)

    def ellipse(y: float, across: float, down: float, colour: tuple[int, int, int]) -> None:
        axes = (max(1, round(across * unit)), max(1, round(down * unit)))
        cv2.ellipse(image, (round(x), round(y)), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)

    ellipse(height, 3.5, 3.2, shirt)
    ellipse(height - 3.2 * unit, 0.8, 1.2, skin)
    ellipse(height - 5.2 * unit, 1.4, 1.9, skin)
    return image
