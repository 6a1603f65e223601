"""Mutated files of the kinds that a user may get from strangers: an error at the most, no crash, no code, no hang; see hostile.py.

2,000 of each are slow; by default there are few.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import tensorflow as tf

from portraitseg import archs, checkpoint, hdf5, image, tflite_metadata
from portraitseg.card import EMBEDDED, UNIT, Card, card_path
from portraitseg.errors import InputError
from portraitseg.export import bundle
from portraitseg.parts import sha256

HERE = Path(__file__).parent
CARD = Card(arch="conv", wm=1.0, size=(16, 16), input=UNIT, output="prob")
FEW = {".tflite": 24, ".h5": 24, ".json": 100, ".zip": 100, ".jpg": 60, ".png": 60}


def small_net() -> bytes:
    """A few kilobytes of .tflite, so that what is mutated is seldom a weight: convolutions, a resize, a sum, a sigmoid."""
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, 3, 3, 4)), tf.float32)
    last = tf.constant(np.random.default_rng(1).normal(size=(1, 1, 4, 1)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((1, 16, 16, 3), tf.float32)])
    def net(x):
        y = tf.nn.relu(tf.nn.conv2d(x, kernel, 2, "SAME"))
        y = tf.image.resize(y + tf.nn.max_pool2d(y, 3, 1, "SAME"), (16, 16))
        return tf.sigmoid(tf.nn.conv2d(y, last, 1, "SAME"))

    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()]).convert())


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each kind, with a good file."""
    root = tmp_path_factory.mktemp("good")
    for suffix in FEW:
        (root / suffix[1:]).mkdir()
    net = root / "tflite" / "good.tflite"
    net.write_bytes(tflite_metadata.add(small_net(), {EMBEDDED: CARD.embedded()}))
    shutil.copy(net, root / "json" / "good.tflite")
    replace(CARD, sha256=sha256(net)).save(root / "json" / "good.json")
    with h5py.File(root / "h5" / "good.h5", "w") as file:
        for name in ("enc_a", "dec_b", "head"):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{kind}:0".encode() for kind in ("kernel", "bias")]
            group[f"{name}/kernel:0"] = np.ones((3, 3, 4, 4), np.float32)
            group.create_dataset(f"{name}/bias:0", data=np.zeros(64, np.float32), chunks=(16,), compression="gzip")
    shutil.copy(net, root / "net.tflite")
    replace(CARD, sha256=sha256(net)).save(root / "net.json")
    (root / "zip" / "good.zip").write_bytes(bundle.make(root / "net.tflite"))
    picture = np.random.default_rng(2).integers(0, 256, (24, 32, 3), np.uint8)
    image.write(root / "jpg" / "good.jpg", picture)
    image.write(root / "png" / "good.png", cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    return root


def outcome(suffix: str, good: Path, tmp_path: Path, count: int) -> dict[str, int]:
    """How many were opened and refused; asserts that nothing else happened."""
    folder = tmp_path / "files"
    shutil.copytree(good / suffix[1:], folder)
    command = [sys.executable, HERE / "hostile.py", suffix, folder, str(count), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["harmful"] == {}, f"{result}; the files are in {folder}"
    assert result["slowest"] <= 10
    assert {path.name for path in tmp_path.iterdir()} == {"files"}
    assert sum(result["counts"].values()) == count
    print(suffix, result)
    return result["counts"]


@pytest.mark.parametrize("suffix", FEW)
def test_a_few_mutated_files_of_each_kind(suffix: str, good: Path, tmp_path: Path) -> None:
    assert outcome(suffix, good, tmp_path, FEW[suffix])["refused"] > FEW[suffix] // 5


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FEW)
def test_two_thousand_mutated_files_of_each_kind(suffix: str, good: Path, tmp_path: Path) -> None:
    assert outcome(suffix, good, tmp_path, 2000)["refused"] > 400


def test_an_h5_that_leads_to_other_files_is_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["head/kernel:0"] = np.ones(4, np.float32)
    np.ones(4, np.float32).tofile(tmp_path / "secret.bin")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["linked"] = h5py.ExternalLink("secret.h5", "/head")
        file["soft"] = h5py.SoftLink("/own")
        file["own"] = np.zeros(2, np.float32)
        file.create_dataset("raw", (4,), np.float32, external=[(str(tmp_path / "secret.bin"), 0, 16)])
        layout = h5py.VirtualLayout((4,), np.float32)
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "head/kernel:0", (4,))
        file.create_virtual_dataset("virtual", layout)
    assert set(hdf5.read(tmp_path / "x.h5").arrays) == {"own"}


def test_an_h5_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("huge", (2**20, 2**20), np.float32, chunks=(1, 2**10))
    assert (tmp_path / "x.h5").stat().st_size < 2**16
    with pytest.raises(InputError, match="its arrays have more than 1024 MB"):
        hdf5.read(tmp_path / "x.h5")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint."""
    card, path = archs.new_card("slim_net", size=64), tmp_path_factory.mktemp("saved") / "best.h5"
    checkpoint.save(archs.build(card), card, path)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"arch": "no_such"}, {"arch": "../x"}, {"wm": 4.0}, {"size": (32768, 32768)}, {"size": (33, 64)}, {"options": {"decoder": "x"}},
        {"options": {"no_such": 1}}, {"options": {"decoder": [1]}}, {"channels": 4}, {"classes": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_checkpoint_whose_card_describes_another_net_is_an_input_error(saved: Path, changes: dict[str, object]) -> None:
    path = saved
    replace(archs.new_card("slim_net", size=64), **changes).save(card_path(path))
    if changes == {"size": (32768, 32768)}:
        assert checkpoint.load(path)[1].size == (32768, 32768)  # its weights fit; what it takes to run it is known when it is run
        return
    with pytest.raises(InputError):
        checkpoint.load(path)
