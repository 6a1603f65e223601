"""Shards: every sample equal to the folder's, readable by TensorFlow, and what is broken said."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from portraitseg import image
from portraitseg.card import SYMMETRIC, Card
from portraitseg.cli import main
from portraitseg.data.augment import AugmentConfig
from portraitseg.data.pipeline import train_batches
from portraitseg.data.records import INDEX, open_records
from portraitseg.data.sources import Source, find_source, open_data
from portraitseg.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pairs: JPEG, PNG and BMP of several sizes, one of them lying on its side by EXIF, soft and 0/1 masks, one RGBA."""
    root, random = tmp_path / "set", np.random.default_rng(0)
    for index in range(12):
        size = (40 + 3 * index, 52 - index)
        picture = cv2.resize(random.integers(0, 256, (6, 5, 3), dtype=np.uint8), size[::-1])
        mask = cv2.GaussianBlur(cv2.circle(np.zeros(size, np.uint8), (20, 25), 14, 255, -1), (0, 0), 1 + index % 3)
        mask = (mask > 127).astype(np.uint8) if index % 4 == 0 else mask
        path = root / "images" / f"{index:02d}{('.jpg', '.png', '.bmp')[index % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
        image.write(root / "masks" / f"{index:02d}.png", mask)
    turned = root / "images" / "06.jpg"
    data = turned.read_bytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    turned.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + data[2:])
    return root


def write(folder: Path, out: Path, *words: object) -> int:
    return main(argv=["data", "records", "--data", str(folder), "--out", str(out), *map(str, words)])


def assert_equal(first: Source, second: Source) -> None:
    assert [first.name(index) for index in range(len(first))] == [second.name(index) for index in range(len(second))]
    for index in range(len(first)):
        assert all(np.array_equal(a, b) for a, b in zip(first.load(index), second.load(index), strict=True))


def test_shards_are_the_folder_bit_by_bit_with_its_split(folder: Path, tmp_path: Path) -> None:
    assert write(folder, tmp_path / "shards", "--shards", 3) == 0
    original, shards = open_data(folder, seed=1), open_data(tmp_path / "shards", seed=1)
    assert len(original.train) > len(original.val) > 0
    assert_equal(original.train, shards.train)
    assert_equal(original.val, shards.val)
    assert shards.report[-1] == original.report[-1]
    assert open_records(tmp_path / "shards").load(6)[0].shape[:2] == (46, 58)  # 06.jpg lay on its side


def test_batches_from_shards_are_those_from_the_folder(folder: Path, tmp_path: Path) -> None:
    write(folder, tmp_path / "shards")
    card = Card(arch="munet_mnv3", wm=0.5, size=(32, 32), input=SYMMETRIC)
    options = {"batch": 4, "seed": 5, "epoch": 2, "augment": AugmentConfig()}
    for one, other in zip(
        *(train_batches(open_data(root).train, card, **options) for root in (folder, tmp_path / "shards")),
        strict=True,
    ):
        assert all(np.array_equal(one[name], other[name]) for name in ("index", "x", "mask"))


def test_tensorflow_reads_the_shards(folder: Path, tmp_path: Path) -> None:
    """Its own reader checks lengths and checksums."""
    write(folder, tmp_path / "shards", "--shards", 2)
    files = sorted(map(str, (tmp_path / "shards").glob("*.tfrecord")))
    assert [Path(file).name for file in files] == ["shard-00000-of-00002.tfrecord", "shard-00001-of-00002.tfrecord"]
    keys = {key: tf.io.FixedLenFeature([], tf.string) for key in ("image", "mask", "name")}
    records = open_records(tmp_path / "shards")
    examples = [tf.io.parse_single_example(record, keys) for record in tf.data.TFRecordDataset(files)]
    assert [example["name"].numpy().decode() for example in examples] == [f"{index:02d}" for index in range(12)]
    for index, example in enumerate(examples):
        assert np.array_equal(tf.io.decode_png(example["mask"])[..., 0], records.load(index)[1])
    assert examples[0]["image"].numpy() == (folder / "images/00.jpg").read_bytes()
    assert np.array_equal(tf.io.decode_png(examples[2]["image"]), records.load(2)[0])  # BMP became PNG


def test_pictures_are_made_smaller_on_request(folder: Path, tmp_path: Path) -> None:
    write(folder, tmp_path / "shards", "--longest", 48)
    records, source = open_records(tmp_path / "shards"), find_source(folder)[0]
    for index in range(12):
        (picture, mask), (whole, truth) = records.load(index), source.load(index)
        assert picture.shape[:2] == mask.shape
        assert max(mask.shape) == min(48, max(truth.shape))
        assert np.array_equal(mask, image.resize(truth, mask.shape))
        assert np.abs(picture.astype(int) - image.resize(whole, mask.shape)).mean() < 5
    assert json.loads((tmp_path / "shards" / INDEX).read_text())["longest"] == 48


def test_the_folders_own_split_stays(folder: Path, tmp_path: Path) -> None:
    for part, names in (("train", range(9)), ("val", range(9, 12))):
        for kind in ("images", "masks"):
            (tmp_path / "split" / part / kind).mkdir(parents=True)
            for index in names:
                (path,) = (folder / kind).glob(f"{index:02d}.*")
                path.rename(tmp_path / "split" / part / kind / path.name)
    write(tmp_path / "split", tmp_path / "shards")
    original, shards = open_data(tmp_path / "split"), open_data(tmp_path / "shards")
    assert (len(shards.train), len(shards.val)) == (9, 3)
    assert_equal(original.train, shards.train)
    assert_equal(original.val, shards.val)
    held, report = find_source(tmp_path / "shards")
    assert_equal(held, shards.val)
    assert "its part 'train' is not used (9)" in report[1]
    assert_equal(open_data(folder.parent / "split", tmp_path / "shards").val, held)
    assert_equal(open_data(None, tmp_path / "shards", size=64).val, held)


def test_a_broken_pair_is_left_out(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray((folder / "images/01.png").read_bytes())
    data[60:90] = bytes(30)  # header and end are whole, the pixels are not
    (folder / "images/01.png").write_bytes(data)
    assert write(folder, tmp_path / "shards") == 0
    out = capsys.readouterr().out
    assert "01.png" in out
    assert "11 pictures in 1 shards" in out
    assert "01" not in [row.name for row in open_records(tmp_path / "shards").rows]


def test_existing_shards_are_kept_unless_forced_and_nothing_else_is_ever_replaced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shards"
    write(folder, out, "--shards", 2)
    before = (out / INDEX).read_bytes()
    assert write(folder, out) == 2
    assert "--force" in capsys.readouterr().err
    assert (out / INDEX).read_bytes() == before
    assert write(folder, out, "--force", "--shards", 1) == 0
    assert sorted(path.name for path in out.iterdir()) == [INDEX, "shard-00000-of-00001.tfrecord"]
    assert write(folder, folder, "--force") == 2
    assert "choose another output" in capsys.readouterr().err
    assert len(list((folder / "images").iterdir())) == 12
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("where", ["image", "mask"])
def test_changed_bytes_are_noticed(folder: Path, tmp_path: Path, where: str) -> None:
    write(folder, tmp_path / "shards")
    records = open_records(tmp_path / "shards")
    data = bytearray(records.shards[0].read_bytes())
    data[getattr(records.rows[4], where).at + 40] ^= 1
    records.shards[0].write_bytes(data)
    with pytest.raises(InputError, match="is broken at 04"):
        open_records(tmp_path / "shards").load(4)
    open_records(tmp_path / "shards").load(5)


def test_missing_or_cut_shards_and_foreign_indices_are_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    write(folder, out)
    (shard,) = out.glob("*.tfrecord")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=f"has {len(whole) - 1} bytes instead of {len(whole)}"):
        open_data(out)
    shard.unlink()
    with pytest.raises(InputError, match="is missing"):
        open_data(out)
    for text in ("{", "{}", '{"format": "portraitseg-records-1", "shards": [], "samples": [[1]]}', '{"format": "other"}'):
        (out / INDEX).write_text(text)
        with pytest.raises(InputError, match="data records"):
            open_records(out)


@pytest.mark.parametrize(
    ("words", "message"), [(("--longest", 8), "at least 32"), (("--shards", 13), "between 1 and"), (("--shards", 0), "between 1 and")]
)
def test_bad_settings_are_refused(folder: Path, tmp_path: Path, words: tuple[object, ...], message: str, capsys) -> None:
    assert write(folder, tmp_path / "shards", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "shards").exists()
