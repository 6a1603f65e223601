"""A look at a picture file without decoding it: whether it is whole, its upright size, and whether it has alpha."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from portraitseg import image, jpeg
from portraitseg.errors import InputError
from portraitseg.exif import orientation

PNG = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"  # the last chunk's name and checksum


@dataclass(frozen=True)
class Header:
    """What the first and last bytes of a picture say.

    `size` is (H,W) of the upright picture, `orientation` the EXIF value (1 to 8; 5 and above swapped the two).
    """

    size: tuple[int, int]
    orientation: int = 1
    alpha: bool = False


def probe(path: Path) -> Header:
    """Look at the header and the end of a JPEG or a PNG; another format is decoded.

    Raises:
        InputError: the file is missing, empty, truncated or no picture.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(PNG))
            if start.startswith(jpeg.START):
                return _jpeg(file, path)
            if start == PNG:
                return _png(file, path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return _decoded(path)


def _jpeg(file: BinaryIO, path: Path) -> Header:
    head = jpeg.header(file)
    if head is None or not jpeg.has_end(file, head.data):
        raise InputError(f"{path} is a truncated JPEG; copy or download it again")
    size = (head.height, head.width)
    return Header(size=size[::-1] if head.orientation >= 5 else size, orientation=head.orientation)


def _png(file: BinaryIO, path: Path) -> Header:
    """Walk the chunks up to the pixels: IHDR has the size and the colour type, tRNS and eXIf come before IDAT."""
    colour = 0
    size = (0, 0)
    alpha, turn = False, 1
    while len(chunk := file.read(8)) == 8:
        length, kind = int.from_bytes(chunk[:4]), chunk[4:]
        if kind in (b"IDAT", b"IEND"):
            break
        body = file.read(length + 4)
        if kind == b"IHDR":
            size, colour = (int.from_bytes(body[4:8]), int.from_bytes(body[:4])), body[9]
        alpha = alpha or kind == b"tRNS"
        turn = orientation(body) if kind == b"eXIf" else turn
    end = file.seek(0, 2)
    file.seek(max(0, end - 1024))
    if 0 in size or PNG_END not in file.read():
        raise InputError(f"{path} is a truncated PNG; copy or download it again")
    return Header(size=size[::-1] if turn >= 5 else size, orientation=turn, alpha=alpha or colour in (4, 6))


def _decoded(path: Path) -> Header:
    height, width = image.read(path).shape[:2]
    return Header(size=(height, width), alpha=image.read_alpha(path) is not None)
