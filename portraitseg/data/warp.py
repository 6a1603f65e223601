"""Shift, scale, rotate, crop and flip in one: a random view of a picture, sampled once, straight at the size of the net."""

import math
from typing import Any

import albumentations as A  # noqa: N812 - the name that its documentation uses
import cv2
import numpy as np
from albumentations.core.transforms_interface import Targets
from numpy.typing import NDArray

from portraitseg.image import UInt8

Vector = NDArray[np.float64]

NEAR, FAR = 0.5, 0.2  # the view's sides lie between 1 / (1 + NEAR) and 1 + FAR of the picture's
ASPECT = 0.15  # by this much a view is wider or narrower, as a power of e
ANGLE, ANGLE_LIMIT = 7.0, 20.0  # degrees: standard deviation and the most
SHIFT = 0.06  # how far a view may reach beyond the picture, as a share of its sides
KEEP = 0.3  # the person's upper body is at most this share of the view's sides away from the view's centre
HALF = np.array([[0, 0, 0.5]])  # from a pixel's corner to its centre
STRIDE = 8  # mask pixels that are looked at to find the person: every eighth


class Warp(A.DualTransform):  # type: ignore[misc]  # its base has no types
    """A random view of the picture and its mask at one size.

    One view instead of a chain of crop, resize, rotate and flip: a picture that is sampled once stays sharp, and costs a third.
    """

    _targets = (Targets.IMAGE, Targets.MASK)

    def __init__(self, size: tuple[int, int], strength: float = 1.0, fit: str = "stretch", border: UInt8 | None = None) -> None:
        """Prepare.

        Args:
            size: (h,w) of the result.
            strength: multiplies all ranges; 0 gives the whole picture, unturned.
            fit: "stretch", or "letterbox" to keep the picture's aspect.
            border: RGB of what lies beyond a letterboxed picture.
        """
        super().__init__(p=1.0)
        self.size, self.strength, self.fit = size, strength, fit
        self.border = (0, 0, 0) if border is None else tuple(int(value) for value in border)

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the view: how the pixels of the result lie in the picture."""
        picture = np.array(params["shape"][1::-1], float)  # W,H
        view = self._extent(picture)
        centre = self._centre(picture, view, data.get("mask"))
        angle = math.radians(max(-ANGLE_LIMIT, min(ANGLE_LIMIT, self.py_random.gauss(0, ANGLE)))) * self.strength
        mirror = bool(self.strength) and self.py_random.random() < 0.5
        return {"view": view, "matrix": _matrix(np.array(self.size[::-1]), view, centre, angle, mirror)}

    def apply(self, img: UInt8, view: Vector, matrix: Vector, **params: Any) -> UInt8:
        """Sample the picture."""
        return self._sample(img, view, matrix, self.border)

    def apply_to_mask(self, mask: UInt8, view: Vector, matrix: Vector, **params: Any) -> UInt8:
        """Sample the mask as the picture is sampled: its edge stays soft and in register."""
        return self._sample(mask, view, matrix, (0, 0, 0))

    def _extent(self, picture: Vector) -> Vector:
        """Width and height of the view in the picture's pixels."""
        side = math.exp(self.py_random.uniform(-math.log(1 + NEAR * self.strength), math.log(1 + FAR * self.strength)))
        stretch = math.exp(self.py_random.uniform(-ASPECT, ASPECT) * self.strength / 2)
        net = np.array(self.size[::-1], float)
        whole = picture if self.fit == "stretch" else net * (picture / net).max()
        return np.asarray(whole * side * (stretch, 1 / stretch))

    def _centre(self, picture: Vector, view: Vector, mask: UInt8 | None) -> Vector:
        """The view's centre, 0 to W and 0 to H: anywhere in the picture, and a little beyond, but never without the person."""
        if not self.strength:
            return picture / 2
        reach = np.abs(picture - view) / 2 + SHIFT * self.strength * picture
        centre = picture / 2 + reach * (self.py_random.uniform(-1, 1), self.py_random.uniform(-1, 1))
        person = None if mask is None else _person(mask)
        if person is not None:
            centre = np.clip(centre, person - KEEP * view, person + KEEP * view)
        return np.asarray(np.clip(centre, picture / 2 - reach, picture / 2 + reach))

    def _sample(self, image: UInt8, view: Vector, matrix: Vector, border: tuple[int, ...]) -> UInt8:
        """Shrink by a whole factor first, which OpenCV does fast, so that bilinear sampling skips no pixel.

        What is left to shrink is below 2; up to there bilinear differs from an area average by 2 of 255 levels (root mean square).
        """
        across, down = np.maximum(1, view / self.size[::-1] + 1e-6).astype(int)
        if across > 1 or down > 1:
            width, height = max(1, image.shape[1] // across), max(1, image.shape[0] // down)
            image = cv2.resize(image[: height * down, : width * across], (width, height), interpolation=cv2.INTER_AREA)
            matrix = (matrix + HALF) / [[across], [down]] - HALF
        # Repeated edge pixels lengthen a cut-off body; a mirrored border would hang a second head over the first, and call it the person.
        mode = cv2.BORDER_REPLICATE if self.fit == "stretch" else cv2.BORDER_CONSTANT
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(image, matrix, self.size[::-1], flags=flags, borderMode=mode, borderValue=border), np.uint8)


def _matrix(net: Vector, view: Vector, centre: Vector, angle: float, mirror: bool) -> Vector:
    """The map (2,3) from the result's pixels to the picture's; both count from 0 at the centre of the first pixel."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    scale = turn * (view / net * (-1 if mirror else 1, 1))
    shift = centre - 0.5 + scale @ (0.5 - net / 2)
    return np.asarray(np.column_stack([scale, shift]))


def _person(mask: UInt8) -> Vector | None:
    """A point (x,y) of the upper body, in the mask's pixels: a quarter down from the top; None if the mask is empty."""
    few = mask[::STRIDE, ::STRIDE] > 127
    rows = np.flatnonzero(few.any(axis=1))
    if not rows.size:
        return None
    upper = few[rows[0] : rows[0] + max(1, (rows[-1] - rows[0]) // 2)]
    x, y = np.nonzero(upper)[1].mean(), rows[0] + (rows[-1] - rows[0]) / 4
    return np.array([x + 0.5, y + 0.5]) * STRIDE
