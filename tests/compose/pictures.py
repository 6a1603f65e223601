"""Pictures of which a test knows every pixel."""

import numpy as np


def red_on_blue(size: int, missed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A red square before blue, and an alpha that misses a rim of `missed` pixels of it."""
    image = np.zeros((size, size, 3), np.uint8)
    image[..., 2] = 255
    inner = slice(size // 4, 3 * size // 4)
    image[inner, inner] = (255, 0, 0)
    alpha = np.zeros((size, size), np.uint8)
    inside = slice(size // 4 + missed, 3 * size // 4 - missed)
    alpha[inside, inside] = 255
    return image, alpha
