"""Frames in the one size that a video, a virtual camera or a stream has."""

import cv2
import numpy as np

from portraitseg.image import UInt8, resize


def even(image: UInt8) -> UInt8:
    """The picture with even height and width, as chroma at half size takes: its last row or column is repeated."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)


def letterbox(image: UInt8, size: tuple[int, int]) -> UInt8:
    """The whole picture (H,W,C) centred in `size` (h,w); what is left is black, or transparent where C is 4."""
    if image.shape[:2] == size:
        return image
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, min(full, round(side * scale))) for side, full in zip(image.shape[:2], size, strict=True))
    out = np.zeros((*size, image.shape[2]), np.uint8)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    out[top : top + height, left : left + width] = resize(image, (height, width))
    return out
