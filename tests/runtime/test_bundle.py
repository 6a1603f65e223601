"""Bundles that strangers made: nothing is written outside, nothing without its digest is used."""

import hashlib
import io
import stat
import zipfile
from pathlib import Path

import pytest

from portraitseg.card import UNIT, Card
from portraitseg.errors import InputError
from portraitseg.runtime import bundle, open_artifact

CARD = Card(arch="conv", wm=1.0, size=(8, 8), input=UNIT).to_json().encode()
FILES = {"x/net.tflite": b"TFL3", "x/net.json": CARD}


def pack(path: Path, files: dict[str, bytes], *, sums: bytes | None = None, mode: int = 0o644, method: int = zipfile.ZIP_STORED) -> Path:
    """A .zip of `files` with the SHA256SUMS that belong to them, or others."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name.partition('/')[2]}\n" for name, content in files.items()]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in {**files, "x/SHA256SUMS": "".join(lines).encode() if sums is None else sums}.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            archive.writestr(info, content)
    return path


def refusal(path: Path, tmp_path: Path) -> str:
    """What unpacking says, having left nothing behind, neither in its folder nor outside."""
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError) as error:
        bundle.unpack(path, tmp_path / "out")
    (tmp_path / "out").rmdir()  # fails if anything lies in it
    assert list(tmp_path.iterdir()) == [path]
    return str(error.value)


def test_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    made = bundle.unpack(pack(tmp_path / "b.zip", FILES, method=zipfile.ZIP_DEFLATED), tmp_path / "out")
    assert made == tmp_path / "out" / "x" / "net.tflite"
    assert made.read_bytes() == b"TFL3"


@pytest.mark.parametrize(
    "name",
    ["../evil", "x/../../evil", "/tmp/evil", "x//evil", "x/..", "C:/evil", "x\\..\\evil", "x/.bashrc", "x/a\nb", "x/" + "a" * 300 + "*"],
)  # fmt: skip
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    assert "a file may not be named" in refusal(pack(tmp_path / "b.zip", {**FILES, name: b"evil"}), tmp_path)


def test_links_and_odd_compression(tmp_path: Path) -> None:
    assert "is a link" in refusal(pack(tmp_path / "b.zip", FILES, mode=stat.S_IFLNK | 0o777), tmp_path)
    assert "in another way than deflate" in refusal(pack(tmp_path / "b.zip", FILES, method=zipfile.ZIP_LZMA), tmp_path)


def test_too_many_or_twice(tmp_path: Path) -> None:
    assert "it holds 1002 files" in refusal(pack(tmp_path / "b.zip", {f"x/{number}": b"" for number in range(1001)}), tmp_path)
    assert "or one twice" in refusal(pack(tmp_path / "b.zip", {**FILES, "x/NET.json": b""}), tmp_path)


BOMB = 0x00F3A7C5  # bytes that stand nowhere else in the file


def test_a_bomb_is_refused_by_what_it_claims_and_a_false_claim_by_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(tmp_path / "b.zip", {**FILES, "x/zeros": bytes(BOMB)}, method=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**16
    monkeypatch.setattr(bundle, "MAX_BYTES", 2**23)
    assert "more than 8 MB" in refusal(path, tmp_path)
    size = BOMB.to_bytes(4, "little")
    assert path.read_bytes().count(size) >= 2
    path.write_bytes(path.read_bytes().replace(size, (2**10).to_bytes(4, "little")))
    assert "Bad CRC-32" in refusal(path, tmp_path)


@pytest.mark.parametrize(
    ("files", "sums", "message"),
    [
        (FILES, b"", "net.json, net.tflite and SHA256SUMS do not agree"),
        (FILES, b"00  net.tflite\n", "do not agree"),
        ({"x/net.tflite": b"TFL3"}, None, "must hold one artifact with its card, but holds 0"),
        ({**FILES, "x/two.tflite": b"", "x/two.json": CARD}, None, "but holds 2"),
        ({**FILES, "y/other": b""}, None, "it must hold one folder"),
        ({**FILES, "other": b""}, None, "it must hold one folder"),
    ],
)
def test_what_is_no_bundle(tmp_path: Path, files: dict[str, bytes], sums: bytes | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bundle.unpack(pack(tmp_path / "b.zip", files, sums=sums), tmp_path / "out")


def test_what_is_no_zip_or_an_encrypted_one(tmp_path: Path) -> None:
    content = bytearray(pack(tmp_path / "b.zip", FILES).read_bytes())
    for at in (content.find(b"PK\x03\x04") + 6, content.find(b"PK\x01\x02") + 8):
        content[at] |= 1  # general purpose flag 0: encrypted
    for data in (b"", b"PK", bytes(content), bytes(content)[:-30]):
        (tmp_path / "b.zip").write_bytes(data)
        with pytest.raises(InputError, match=r"cannot unpack .*b\.zip"):
            open_artifact(tmp_path / "b.zip")
    assert zipfile.is_zipfile(io.BytesIO(bytes(content)))
