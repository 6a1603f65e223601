"""Bundles of the bundled nets: checked by sha256sum, run by the example in them without portraitseg, opened as an artifact."""

import dataclasses
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import image, tflite_metadata
from portraitseg.card import EMBEDDED, Card, card_path
from portraitseg.cli import main
from portraitseg.errors import InputError
from portraitseg.export import bundle
from portraitseg.runtime import open_artifact, predict

MODELS = [path for path in sorted((Path(__file__).parents[2] / "models").glob("*.tflite")) if Card.load(card_path(path)).channels == 3]
"""Those for single pictures: the examples keep no prior."""
ALONE = "import runpy, sys; sys.modules['portraitseg'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in a bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    assert main("bundle", [str(MODELS[0]), "--out", str(folder / "net.zip")]) == 0
    with zipfile.ZipFile(folder / "net.zip") as archive:
        archive.extractall(folder)
    return folder / MODELS[0].stem


def test_all_is_in_it_and_whole(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {
        MODELS[0].name, card_path(MODELS[0]).name, "labels.txt", "LICENSE.txt", "LICENSE-code.txt", "photo.jpg", "mask.png", "run.py",
        "README.md", "SHA256SUMS",
    }  # fmt: skip
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=unpacked, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK") == 9
    assert (unpacked / MODELS[0].name).read_bytes() == MODELS[0].read_bytes()
    assert Card.load(card_path(MODELS[0])).licence in (unpacked / "LICENSE.txt").read_text()
    assert (unpacked / "labels.txt").read_text() == "person\n"


def test_the_command_of_its_readme_gives_its_mask(unpacked: Path) -> None:
    command = (unpacked / "README.md").read_text().split("```bash\n")[1].split("\n")[0].split()
    assert command[0] == "python"
    subprocess.run([sys.executable, "-I", "-c", ALONE, *command[1:]], cwd=unpacked, capture_output=True, check=True)
    ours, theirs = (cv2.imread(str(unpacked / name), cv2.IMREAD_UNCHANGED).astype(int) for name in ("mask.png", command[-1]))
    assert np.abs(ours - theirs).max() <= 1
    assert ours.std() > 100


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_it_opens_as_the_artifact_and_the_same_files_give_the_same_bytes(model: Path, tmp_path: Path) -> None:
    (tmp_path / "net.zip").write_bytes(bundle.make(model))
    assert (tmp_path / "net.zip").read_bytes() == bundle.make(model)
    photo = image.read(bundle.PHOTO)
    runtime = open_artifact(tmp_path / "net.zip")
    np.testing.assert_array_equal(predict(runtime, photo), predict(open_artifact(model), photo))
    folder = Path(runtime.folder.name)
    assert folder.is_dir()
    del runtime
    assert not folder.exists()


def test_the_card_inside_will_do(tmp_path: Path) -> None:
    card, path = Card.load(card_path(MODELS[0])), tmp_path / "alone.tflite"
    path.write_bytes(tflite_metadata.add(MODELS[0].read_bytes(), {EMBEDDED: card.embedded()}))
    (tmp_path / "net.zip").write_bytes(bundle.make(path))
    assert open_artifact(tmp_path / "net.zip").card == dataclasses.replace(card, sha256="")


def test_what_cannot_be_bundled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("net.h5", "net.zip", "net.txt"):
        with pytest.raises(InputError, match="it must be an artifact"):
            bundle.make(tmp_path / name)
    path, card = tmp_path / "net.tflite", dataclasses.replace(Card.load(card_path(MODELS[0])), fit="letterbox")
    path.write_bytes(tflite_metadata.add(MODELS[0].read_bytes(), {EMBEDDED: card.embedded()}))
    with pytest.raises(InputError, match="3 channels and fit letterbox"):
        bundle.make(path)
    (tmp_path / "net.zip").write_bytes(b"mine")
    assert main("bundle", [str(path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "net.zip").read_bytes() == b"mine"
