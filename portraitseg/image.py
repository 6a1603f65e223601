"""Pictures in and out, with numpy and OpenCV alone: the one way that training, evaluation and the demo prepare a picture.

A picture is uint8 RGB (H,W,3), upright; a mask is uint8 (H,W), 0 to 255, 255 = person; a prob is float32 (H,W) in [0,1].
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg import jpeg, masks
from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.exif import orientation, upright
from portraitseg.files import atomic, refuse_existing

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its decoders print to stderr; the errors below say it better

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Array = NDArray[Any]

SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2", ".ppm", ".pgm"})
FORMATS = "JPEG, PNG, WebP, AVIF, BMP, TIFF, GIF"


def read(path: Path) -> UInt8:
    """Read a picture as RGB (H,W,3), turned upright as its EXIF orientation says.

    Grey becomes three equal channels, 16 bits become 8, CMYK becomes RGB, alpha is dropped, an animation gives its first frame.

    Raises:
        InputError: the file is missing, empty, truncated, no picture, or too large for OpenCV (2^30 pixels).
    """
    return np.asarray(_decode(path, lambda data: cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)), np.uint8)


def read_alpha(path: Path) -> UInt8 | None:
    """Read the alpha channel (H,W) of a picture, upright; None if the picture has none.

    Raises:
        InputError: as in `read`.
    """
    stored = _read_stored(path)
    return masks.to_8bit(stored[..., 3]) if stored.ndim == 3 and stored.shape[2] == 4 else None


def read_mask(path: Path) -> UInt8:
    """Read a mask (H,W) as 0 to 255 with 255 = person, upright.

    Understood: 0/1 (becomes 0/255), 0/255, soft, 16-bit, float in [0,1]; a picture with transparency (its alpha is the mask);
    a label map in palette or plain colours (label 0 or black is background, any other the person, the palette's label 255 is half).

    Raises:
        InputError: as in `read`.
        ImportError: the mask is a palette PNG and Pillow is not installed.
    """
    stored = _read_stored(path)
    if stored.ndim == 3 and stored.shape[2] == 4:
        alpha = masks.to_8bit(stored[..., 3])
        if alpha.min() < 255:  # an alpha of 255 everywhere was only added by the program that saved the mask
            return alpha
        stored = stored[..., :3]
    if masks.is_palette(path):
        return masks.from_palette(path)
    values = masks.to_8bit(stored)
    return masks.spread(values if values.ndim == 2 else masks.from_colours(values))


def write(path: Path, image: UInt8, *, force: bool = False) -> None:
    """Write a picture as PNG or JPEG, whole or not at all.

    Args:
        path: ends in .png, .jpg or .jpeg.
        image: grey (H,W), RGB (H,W,3) or, for PNG, RGBA (H,W,4).
        force: overwrite an existing file.

    Raises:
        InputError: the suffix is another one, RGBA is to become JPEG, the file exists, or it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise InputError(
            f"cannot write {path}: pictures are written as .png, .jpg or .jpeg, got {suffix or 'no suffix'!r}; rename the output"
        )
    if image.ndim == 3 and image.shape[2] == 4 and suffix != ".png":
        raise InputError(f"cannot write {path}: JPEG has no transparency; write a .png")
    refuse_existing(path, force=force)
    swap = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    stored = image if image.ndim == 2 else cv2.cvtColor(image, swap[image.shape[2]])
    written, data = cv2.imencode(suffix, stored, [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix != ".png" else [])
    if not written:
        raise InputError(
            f"cannot write {path}: {image.shape[1]}x{image.shape[0]} px is too large for {suffix}; make it smaller or write a .png"
        )
    with atomic(path) as temporary:
        temporary.write_bytes(data.data)


def resize(image: Array, size: tuple[int, int]) -> Array:
    """Resize (H,W) or (H,W,C) to `size` (h,w): area average when shrinking, linear when enlarging (OpenCV's INTER_AREA)."""
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA))


def to_input(image: UInt8, card: Card) -> Float32:
    """Prepare an RGB picture (H,W,3) for a net: fit to the card's size, order the channels, x = (byte - mean) / std.

    Returns:
        (h,w,C). The border of a letterbox is the mean, hence 0; a fourth channel (the prior) is 0.
    """
    height, width = card.size
    inner, (rows, columns) = _fit(image, card.size, card.fit)
    if card.input.order == "bgr":
        inner = inner[..., ::-1]
    x = np.zeros((height, width, card.channels), np.float32)
    x[rows, columns, :3] = (inner.astype(np.float32) - np.asarray(card.input.mean, np.float32)) / np.asarray(card.input.std, np.float32)
    return x


def fit_mask(mask: UInt8, size: tuple[int, int], fit: str) -> UInt8:
    """Bring a mask (H,W) to a net's size (h,w) as `to_input` does with its picture; the border of a letterbox is background."""
    inner, (rows, columns) = _fit(mask, size, fit)
    out = np.zeros(size, np.uint8)
    out[rows, columns] = inner
    return out


def from_prob(prob: Float32, size: tuple[int, int], fit: str) -> Float32:
    """Undo the fit: a net's prob (h,w) at the picture's own size (H,W), bilinear, in [0,1]."""
    rows, columns = box(size, (prob.shape[0], prob.shape[1]), fit)
    out = np.asarray(cv2.resize(prob[rows, columns], size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    return np.clip(out, 0, 1, out=out)


def box(size: tuple[int, int], target: tuple[int, int], fit: str) -> tuple[slice, slice]:
    """The rows and columns of `target` (h,w) that a picture of `size` (H,W) fills."""
    if fit == "stretch":
        return slice(0, target[0]), slice(0, target[1])
    if fit != "letterbox":
        raise InputError(f'fit must be "stretch" or "letterbox", got {fit!r}; correct the card')
    scale = min(target[0] / size[0], target[1] / size[1])
    height, width = (max(1, min(full, round(side * scale))) for side, full in zip(size, target, strict=True))
    top, left = (target[0] - height) // 2, (target[1] - width) // 2
    return slice(top, top + height), slice(left, left + width)


def _fit(image: UInt8, size: tuple[int, int], fit: str) -> tuple[UInt8, tuple[slice, slice]]:
    """Resize `image` to the part of `size` that it fills; also give that part."""
    rows, columns = box((image.shape[0], image.shape[1]), size, fit)
    return resize(image, (rows.stop - rows.start, columns.stop - columns.start)), (rows, columns)


def _decode(path: Path, decoder: Callable[[UInt8], Any]) -> Any:
    """Read the file's bytes (OpenCV's own opening fails on non-ASCII paths on Windows) and decode them.

    Raises:
        InputError: see `read`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a picture ({FORMATS})") from error
    if not data:
        raise InputError(f"{path} is empty (0 bytes); give a picture ({FORMATS})")
    if data.startswith(jpeg.START) and not jpeg.is_whole(data):
        raise InputError(f"{path} is a truncated JPEG (no end marker in {len(data)} bytes); copy or download it again")
    try:
        image = decoder(np.frombuffer(data, np.uint8))
    except cv2.error as error:
        raise InputError(f"cannot decode {path}: {error.err}; a picture may have 2^30 pixels at the most; give a smaller one") from error
    if image is None or (isinstance(image, tuple) and image[0] is None):
        raise InputError(f"{path} is broken or no picture (it starts with {data[:8]!r}); allowed are {FORMATS}; replace the file")
    return image


def _read_stored(path: Path) -> Array:
    """Read with depth and alpha as stored, BGR(A), upright."""
    image, kinds, blocks = _decode(path, lambda data: cv2.imdecodeWithMetadata(data, flags=cv2.IMREAD_UNCHANGED))
    exif = [block for kind, block in zip(kinds, blocks, strict=True) if kind == cv2.IMAGE_METADATA_EXIF]
    return upright(np.asarray(image), orientation(np.asarray(exif[0]).tobytes()) if exif else 1)
