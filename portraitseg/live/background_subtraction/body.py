"""From scattered pixels to one person."""

import cv2
import numpy as np

from portraitseg.image import UInt8

LEAST = 0.005  # of the picture: what is smaller is no person
CLOSE, OPEN = 9, 3  # px: gaps that are closed, specks that are removed


def largest(mask: UInt8) -> UInt8:
    """The largest connected part of a mask (h,w) of 0 and 255, its gaps and holes filled; nothing if it is smaller than `LEAST`."""
    body = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disc(OPEN)), cv2.MORPH_CLOSE, _disc(CLOSE))
    outlines, _ = cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out = np.zeros_like(mask)
    if outlines:
        cv2.drawContours(out, [max(outlines, key=cv2.contourArea)], -1, 255, cv2.FILLED)
    return out if cv2.countNonZero(out) >= LEAST * out.size else np.zeros_like(mask)


def margin(person: UInt8) -> UInt8:
    """The mask (h,w), so much larger that nothing of the person is outside."""
    return np.asarray(cv2.dilate(person, _disc(CLOSE)), np.uint8)


def _disc(size: int) -> UInt8:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
