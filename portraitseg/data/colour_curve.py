"""Warm and cool light, as curves over the tones of red and blue."""

from typing import Any

import albumentations as A  # noqa: N812 - the name that its documentation uses
import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.image import UInt8

KNOTS = (0, 64, 128, 192, 256)
LEVELS = np.arange(256.0)


def _curve(values: tuple[int, ...]) -> NDArray[np.float64]:
    """The smooth curve (256,) through `values` at KNOTS."""
    polynomial = np.polynomial.Polynomial.fit(KNOTS, values, deg=len(KNOTS) - 1)
    return np.asarray(polynomial(LEVELS).clip(0, 255))


UP = _curve((0, 70, 140, 210, 256))
DOWN = _curve((0, 30, 80, 120, 192))


class ColourCurve(A.ImageOnlyTransform):  # type: ignore[misc]  # its base has no types
    """Raise red and lower blue (warmer), or the other way round (cooler), by a random share of the full curves."""

    def __init__(self, strength: float = 1.0, p: float = 0.5) -> None:
        """Prepare.

        Args:
            strength: 1 goes up to 0.6 of the full curves, which are those of a strong photo filter.
            p: probability.
        """
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, Any]:
        """Draw the direction and the amount."""
        warm = self.py_random.random() < 0.5
        return {"warm": warm, "amount": min(1.0, self.py_random.uniform(0.1, 0.6) * self.strength)}

    def apply(self, img: UInt8, warm: bool, amount: float, **params: Any) -> UInt8:
        """Look each channel of an RGB picture up in its curve."""
        up, down = (LEVELS + amount * (curve - LEVELS) for curve in (UP, DOWN))
        red, blue = (up, down) if warm else (down, up)
        table = np.stack([red, LEVELS, blue], axis=-1).round().astype(np.uint8)
        return np.asarray(cv2.LUT(img, table[:, None]), np.uint8)
