"""A net that trains in seconds, and pictures that it learns: for tests of what surrounds a training."""

from pathlib import Path

import cv2
import numpy as np

from portraitseg import layers
from portraitseg.archs import ArchSpec


def net(x, *, wm, classes):
    x = layers.relu(layers.norm(layers.conv(x, 8, 3, stride=2, name="enc_conv"), name="enc_bn"), name="enc_relu")
    return layers.conv(layers.upsample(x, name="dec_up"), classes, 1, name="head_conv")


SPEC = ArchSpec(builder=net, size=32, wm=1.0, encoder="mobilenet_v2", paper="-")


def disc(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on noise (40,48,3), and its mask (40,48) of 0 and 255."""
    mask = np.zeros((40, 48), np.uint8)
    cv2.circle(mask, tuple(int(v) for v in random.integers(14, 28, 2)), 10, 255, -1)
    picture = random.integers(0, 80, (40, 48, 3)) + (mask > 0)[..., None] * 150
    return picture.astype(np.uint8), mask


def write_discs(folder: Path, **counts: int) -> Path:
    """Folders of discs, such as train=40, val=6: PART/images and PART/masks of so many each."""
    random = np.random.default_rng(0)
    for part, count in counts.items():
        for name in ("images", "masks"):
            (folder / part / name).mkdir(parents=True)
        for number in range(count):
            for name, pixels in zip(("images", "masks"), disc(random), strict=True):
                cv2.imwrite(str(folder / part / name / f"{part}{number}.png"), pixels)
    return folder
