"""What is told of a picture without decoding it, against what Pillow wrote."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from portraitseg.data.headers import probe
from portraitseg.errors import InputError

NOISE = np.random.default_rng(3).integers(0, 256, (30, 50, 4), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp", "gif", "tiff"])
def test_size_without_alpha(tmp_path: Path, kind: str) -> None:
    Image.fromarray(NOISE[..., :3]).save(tmp_path / f"a.{kind}")
    head = probe(tmp_path / f"a.{kind}")
    assert (head.size, head.orientation, head.alpha) == ((30, 50), 1, False)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_alpha_is_seen(tmp_path: Path, mode: str, kind: str) -> None:
    Image.fromarray(NOISE).convert(mode).save(tmp_path / f"a.{kind}")
    assert probe(tmp_path / f"a.{kind}").alpha


def test_a_palettes_transparency_is_alpha(tmp_path: Path) -> None:
    Image.fromarray(NOISE[..., 0]).convert("P").save(tmp_path / "a.png", transparency=0)
    assert probe(tmp_path / "a.png").alpha


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize(("orientation", "size"), [(3, (30, 50)), (6, (50, 30)), (8, (50, 30))])
def test_the_size_is_the_upright_one(tmp_path: Path, kind: str, orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE[..., :3]).save(tmp_path / f"a.{kind}", exif=exif)
    head = probe(tmp_path / f"a.{kind}")
    assert (head.size, head.orientation) == (size, orientation)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncation_is_seen(tmp_path: Path, kind: str, share: float) -> None:
    Image.fromarray(NOISE[..., :3]).save(tmp_path / f"a.{kind}")
    data = (tmp_path / f"a.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"a\.(jpg|png|webp)"):
        probe(tmp_path / f"a.{kind}")


@pytest.mark.parametrize("content", [b"", b"a text\n", b"\x89PNG\r\n\x1a\n"])
def test_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jpg"):
        probe(tmp_path / "a.jpg")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        probe(tmp_path / "a.jpg")
