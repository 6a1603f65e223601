"""The one EXIF field that changes a picture: its orientation."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATION = 0x0112


def orientation(exif: bytes) -> int:
    """Read the orientation, 1 (upright) to 8, from an EXIF block (TIFF structure, with or without the "Exif" prefix).

    A block that is damaged or has no orientation gives 1, as viewers do. Source: EXIF 2.32, section 4.6.4.
    """
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", block, entry)
            if tag == ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an image (H,W) or (H,W,C) that was stored with `orientation` upright; 5 to 8 swap height and width."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
