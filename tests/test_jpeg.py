"""Whether a JPEG is whole, told from its bytes, on files that Pillow wrote and this test cut."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from portraitseg import jpeg
from portraitseg.exif import orientation


def encoded(**options) -> bytes:
    noise = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "JPEG", **options)
    return file.getvalue()


def with_thumbnail(data: bytes) -> bytes:
    """The picture with another whole JPEG, end marker and all, inside an APP1 segment, as cameras store thumbnails."""
    inner = b"Exif\0\0" + encoded(quality=20)
    return data[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner + data[2:]


@pytest.mark.parametrize("progressive", [False, True])
def test_whole_until_the_end_marker_is_gone(progressive: bool) -> None:
    data = encoded(progressive=progressive)
    assert jpeg.is_whole(data)
    for missing in (1, 2, 100, len(data) // 2, len(data) - 30, len(data) - 3):
        assert not jpeg.is_whole(data[:-missing]), missing


def test_the_thumbnails_end_is_not_the_pictures() -> None:
    data = with_thumbnail(encoded())
    assert jpeg.is_whole(data)
    assert not jpeg.is_whole(data[: len(data) // 2])


def test_a_film_after_the_picture_does_no_harm() -> None:
    assert jpeg.is_whole(encoded() + bytes(100_000))


def test_the_header_has_the_stored_size_and_the_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    head = jpeg.header(BytesIO(encoded(exif=exif)))
    assert head is not None
    assert (head.height, head.width, head.orientation) == (90, 120, 8)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x00\x00\x00", b"\xff\xd8" + b"\xff" * 50])
def test_damage_before_the_picture_is_seen(data: bytes) -> None:
    assert not jpeg.is_whole(data)


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\xff\xff\xff\xff", b"rubbish"])
def test_a_damaged_exif_block_means_upright(block: bytes) -> None:
    assert orientation(block) == 1


@pytest.mark.parametrize(("value", "expected"), [(3, 3), (0, 1), (9, 1)])
def test_orientations_out_of_range_mean_upright(value: int, expected: int) -> None:
    block = b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x12\x01\x03\0\x01\0\0\0" + value.to_bytes(4, "little")
    assert orientation(block) == expected
