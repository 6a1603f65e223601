"""Bundles of every format: the example in them gives their mask, with portraitseg out of reach."""

import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tf_keras as keras

from portraitseg.card import CAFFE, Card
from portraitseg.errors import InputError
from portraitseg.export import bundle
from portraitseg.runtime import open_artifact

ALONE = "import runpy, sys; sys.modules['portraitseg'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
CARD = Card(arch="conv", wm=1.0, size=(32, 48), input=CAFFE)


def net() -> keras.Model:
    """A convolution whose logits lie between -3 and 3."""
    image = keras.Input((*CARD.size, 3), 1)
    model = keras.Model(image, keras.layers.Conv2D(1, 3, padding="same", name="head")(image))
    model.set_weights([np.random.default_rng(1).normal(0, 0.005, weight.shape) for weight in model.weights])
    return model


@pytest.mark.slow
def test_its_example_gives_its_mask(kind: str, write_as, tmp_path: Path) -> None:
    model = write_as(kind, net(), CARD, tmp_path)
    if kind == "keras":
        with pytest.raises(InputError, match="it must be an artifact"):
            bundle.make(model)
        return
    archive = tmp_path / "net.zip"
    archive.write_bytes(bundle.make(model))
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "out")
    folder = tmp_path / "out" / model.stem
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    command = (folder / "README.md").read_text().split("```bash\n")[1].split("\n")[0].split()
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, *command[1:]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    ours, theirs = (cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED).astype(int) for name in ("mask.png", command[-1]))
    assert np.abs(ours - theirs).max() <= 1
    assert ours.std() > 10
    assert open_artifact(archive).card.input == CAFFE
