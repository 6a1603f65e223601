"""Text on top of the composite."""

from collections.abc import Sequence

import cv2

from portraitseg.image import UInt8
from portraitseg.live.timing import Times

FONT = cv2.FONT_HERSHEY_SIMPLEX
LINE = 0.035
"""Height of a line, of the frame's height."""
LEAST = 16
"""Pixels that it has at least."""


def draw(image: UInt8, lines: Sequence[str]) -> None:
    """Write lines of ASCII in white on a darkened corner of RGB (H,W,3) or RGBA (H,W,4), in place."""
    step = max(LEAST, round(LINE * image.shape[0]))
    scale, white = step / 32, (255,) * image.shape[2]
    width = max((cv2.getTextSize(text, FONT, scale, 1)[0][0] for text in lines), default=0)
    corner = image[: step * len(lines) + step // 2, : width + step]
    corner[..., :3] //= 3
    for number, text in enumerate(lines):
        cv2.putText(image, text, (step // 2, step * (number + 1)), FONT, scale, white, 1, cv2.LINE_AA)


def times(clock: Times) -> list[str]:
    """Frames a second, frames dropped, each stage's p50 and p90."""
    stages = [f"{name}: {p50:.1f} / {p90:.1f} ms" for name, (p50, p90) in clock.percentiles().items()]
    return [f"{clock.fps:.1f} FPS   {clock.dropped} dropped", *stages]
