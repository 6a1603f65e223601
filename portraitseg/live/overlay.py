"""Text on top of the composite."""

from collections.abc import Sequence

import cv2

from portraitseg.image import UInt8
from portraitseg.live.timing import Times

FONT = cv2.FONT_HERSHEY_SIMPLEX
LINE = 0.035  # of the frame's height
SHADE, WHITE = (0, 0, 0), (255, 255, 255)


def draw(image: UInt8, lines: Sequence[str]) -> None:
    """Write lines of ASCII into the upper left corner of RGB (H,W,3), in place: white with a black rim, whatever is behind."""
    step = max(12, round(LINE * image.shape[0]))
    for number, text in enumerate(lines):
        place, scale = (step // 2, step * (number + 1)), step / 32
        for colour, width in ((SHADE, 3), (WHITE, 1)):
            cv2.putText(image, text, place, FONT, scale, colour, max(1, round(width * scale)), cv2.LINE_AA)


def times(clock: Times, dropped: int) -> list[str]:
    """Frames a second, each stage's p50 and p90, and frames dropped."""
    stages = [f"{name}: {p50:.1f} / {p90:.1f} ms" for name, (p50, p90) in clock.percentiles().items()]
    return [f"{clock.fps:.1f} FPS   dropped {dropped}", *stages]
