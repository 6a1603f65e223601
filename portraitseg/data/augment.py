"""Augmentation with albumentations: a picture and its mask under one geometry, then the picture's colours, blur and noise."""

import threading
from dataclasses import dataclass
from typing import Any, Literal

import albumentations as A  # noqa: N812 - the name that its documentation uses
import cv2
import numpy as np

from portraitseg.image import UInt8

Level = Literal["none", "light", "default", "strong"]
STRENGTH: dict[str, float] = {"none": 0.0, "light": 0.5, "default": 1.0, "strong": 1.5}

# Knots of the tone curves that warm or cool a picture: red up and blue down, or the other way round.
KNOTS = (0, 64, 128, 192, 256)
UP = (0, 70, 140, 210, 256)
DOWN = (0, 30, 80, 120, 192)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How strongly training samples are changed."""

    level: Level = "default"
    """"none" resizes only; "light" halves the ranges, "strong" widens them by half."""


class Augment:
    """Turns a picture and its mask into a training sample of one size. Thread-safe."""

    def __init__(self, size: tuple[int, int], config: AugmentConfig) -> None:
        self.size, self.config = size, config
        self._local = threading.local()

    def __call__(self, image: UInt8, mask: UInt8, seed: int) -> tuple[UInt8, UInt8]:
        """Augment one sample; a pure function of its arguments.

        Args:
            image: RGB (H,W,3).
            mask: (H,W), 0 to 255.
            seed: of all random choices.

        Returns:
            The picture (h,w,3) and the mask (h,w) at the size of this augmentation.
        """
        transforms = getattr(self._local, "transforms", None)
        if transforms is None:  # albumentations keeps its random state in the object: one a thread
            transforms = self._local.transforms = A.Compose(_transforms(self.size, STRENGTH[self.config.level]), seed=seed)
        transforms.set_random_seed(seed)
        sample = transforms(image=image, mask=mask)
        return sample["image"], sample["mask"]


def _transforms(size: tuple[int, int], strength: float) -> list[Any]:
    whole = A.Resize(*size, interpolation=cv2.INTER_AREA, mask_interpolation=cv2.INTER_AREA)
    if not strength:
        return [whole]
    least = 1.0 - 0.5 * strength
    crop = A.RandomResizedCrop(
        size, scale=(least, 1.0), ratio=(0.75, 1.33), interpolation=cv2.INTER_AREA, mask_interpolation=cv2.INTER_AREA, p=0.6
    )
    move = A.Affine(
        scale=(1 - 0.25 * strength, 1 + 0.15 * strength),
        translate_percent=(-0.12 * strength, 0.12 * strength),
        rotate=(-15 * strength, 15 * strength),
        border_mode=cv2.BORDER_REFLECT_101,
        p=0.7,
    )
    return [A.OneOf([crop, A.Resize(*size, interpolation=cv2.INTER_AREA, mask_interpolation=cv2.INTER_AREA, p=0.4)], p=1.0), move] + [
        A.HorizontalFlip(p=0.5),
        *_colour(strength),
        *_quality(strength),
    ]


def _colour(strength: float) -> list[Any]:
    return [
        A.RandomBrightnessContrast(brightness_limit=0.25 * strength, contrast_limit=0.25 * strength, p=0.6),
        WarmCool(strength=0.6 * strength, p=0.25),
        A.HueSaturationValue(
            hue_shift_limit=10 * strength, sat_shift_limit=35 * strength, val_shift_limit=15 * strength, p=0.3
        ),
        A.ToGray(p=0.03),
    ]


def _quality(strength: float) -> list[Any]:
    longest = 3 + 2 * round(2 * strength)
    return [
        A.MotionBlur(blur_limit=(3, longest), p=0.12),
        A.GaussNoise(std_range=(0.01, 0.05 * strength), p=0.12),
        A.ImageCompression(quality_range=(100 - round(55 * strength), 95), p=0.15),
    ]


class WarmCool(A.ImageOnlyTransform):
    """Bend the red and blue tone curves against each other, warmer or cooler, by a random share of `strength`."""

    def __init__(self, strength: float, p: float) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, Any]:
        """Draw the direction and the amount."""
        return {"warm": self.py_random.random() < 0.5, "amount": self.py_random.uniform(0.2, 1.0) * min(self.strength, 1.0)}

    def apply(self, img: UInt8, warm: bool, amount: float, **params: Any) -> UInt8:
        """Look each channel up in its curve."""
        levels = np.arange(256)
        up, down = (levels + amount * (np.interp(levels, KNOTS, curve) - levels) for curve in (UP, DOWN))
        red, blue = (up, down) if warm else (down, up)
        table = np.stack([red, levels, blue], -1).clip(0, 255).astype(np.uint8)
        changed: UInt8 = cv2.LUT(img, table[:, None])
        return changed

    def get_transform_init_args_names(self) -> tuple[str, ...]:
        """Names of the settings, for albumentations' serialisation."""
        return ("strength",)
