"""Augmentation with albumentations: a picture and its mask under one geometry, then the picture's colours, blur and noise."""

import random
from dataclasses import dataclass
from typing import Any, Literal

import albumentations as A  # noqa: N812 - the name that its documentation uses
import numpy as np

from portraitseg.data.colour_curve import ColourCurve
from portraitseg.data.warp import Warp
from portraitseg.image import UInt8

Level = Literal["none", "light", "default", "strong"]
STRENGTH: dict[str, float] = {"none": 0.0, "light": 0.5, "default": 1.0, "strong": 1.5}


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How strongly training samples are changed; the three families multiply the level, and 0 leaves one out."""

    level: Level = "default"
    """"none" resizes only; "light" halves the ranges, "strong" widens them by half."""
    geometry: float = 1.0
    """Shift, scale, rotate, crop, flip."""
    colour: float = 1.0
    """Brightness, contrast, gamma, warm and cool curves, saturation, grey."""
    quality: float = 1.0
    """Motion blur, noise, JPEG compression."""


class Augment:
    """Turns a picture and its mask into a training sample of one size. Thread-safe."""

    def __init__(self, size: tuple[int, int], config: AugmentConfig, *, fit: str = "stretch", border: UInt8 | None = None) -> None:
        """Prepare the transforms.

        Args:
            size: (h,w) of the samples.
            config: how strongly.
            fit: "stretch" or "letterbox", as the net's pictures are fitted.
            border: RGB around a letterboxed picture; black if not given. Beyond a stretched one its edge pixels go on instead.
        """
        self.size, self.config, self.fit = size, config, fit
        self.border = np.zeros(3, np.uint8) if border is None else border
        # albumentations keeps random state and parameters in its objects, and building them takes 2 ms: each call borrows a chain.
        # threading.local would not do: to Python, every call from tf.data comes from a new thread.
        self._idle: list[Any] = []

    def __call__(self, image: UInt8, mask: UInt8, seed: int, *others: UInt8) -> tuple[UInt8, ...]:
        """Augment one sample; a pure function of its arguments.

        Args:
            image: RGB (H,W,3).
            mask: (H,W), 0 to 255.
            seed: of all random choices, at least 0.
            others: further masks (H,W), which go the mask's way.

        Returns:
            The picture (h,w,3), the mask (h,w) and the other masks; at level "none" all as they came, for `to_input` to resize.
        """
        if self.config.level == "none":
            return image, mask, *others
        try:
            transforms = self._idle.pop()
        except IndexError:
            transforms = self._build()
        # Compose.set_random_seed would give every transform the same numbers: the rare ones would come all together or not at all.
        transforms.set_random_state(np.random.default_rng(seed), random.Random(seed))
        sample = transforms(image=image, mask=mask, masks=list(others))
        self._idle.append(transforms)
        return sample["image"], sample["mask"], *sample["masks"]

    def _build(self) -> Any:
        config, strength = self.config, STRENGTH[self.config.level]
        chain = [Warp(self.size, strength * config.geometry, self.fit, self.border)]
        chain += _colour(strength * config.colour) if config.colour else []
        chain += _quality(strength * config.quality) if config.quality else []
        return A.Compose(chain, is_check_shapes=False)  # the source's pairs are of one shape


def _colour(strength: float) -> list[Any]:
    light = A.RandomBrightnessContrast(0.25 * strength, 0.2 * strength, brightness_by_max=False, p=0.7)
    gamma = A.RandomGamma((100 / (1 + 0.5 * strength), 100 * (1 + 0.5 * strength)), p=0.3)
    return [
        A.OneOf([light, gamma], p=0.6),  # both at once crush dark pictures to black
        ColourCurve(strength=strength, p=0.25),
        A.HueSaturationValue(hue_shift_limit=6 * strength, sat_shift_limit=30 * strength, val_shift_limit=0, p=0.25),
        A.ToGray(p=min(0.03 * strength, 1.0)),
    ]


def _quality(strength: float) -> list[Any]:
    """What a moving hand, a small sensor and a sender's compression do; the blur is centred, or the picture would leave its mask."""
    longest = 3 + 2 * round(2 * strength)
    return [
        A.MotionBlur(blur_limit=(3, longest), allow_shifted=False, direction_range=(0, 0), p=0.12),
        A.GaussNoise(std_range=(0.005 * strength, 0.03 * strength), p=0.12),
        A.ImageCompression(quality_range=(max(10, 100 - round(60 * strength)), 95), p=0.15),
    ]
