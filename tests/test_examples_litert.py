"""A stranger's code, with nothing of ours installed, on our files: its mask is ours."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import image, tflite_metadata
from portraitseg.card import EMBEDDED, Card, card_path
from portraitseg.cli.test import SAMPLE
from portraitseg.export import mediapipe
from portraitseg.runtime import open_artifact, predict

ROOT = Path(__file__).parents[1]
MODELS = [path for path in sorted((ROOT / "models").glob("*.tflite")) if Card.load(card_path(path)).channels == 3]
"""Those for single pictures: the examples keep no prior."""
ALONE = "import runpy, sys; sys.modules['portraitseg'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
"""Runs a script in a Python that cannot import portraitseg."""


def run(python: str | Path, script: str, *words: object) -> None:
    done = subprocess.run([python, "-I", "-c", ALONE, ROOT / "examples" / script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def code_lines(script: str) -> int:
    """Without the docstring and empty lines."""
    return sum(bool(line.strip()) for line in (ROOT / "examples" / script).read_text().splitlines()) - 1


@pytest.mark.parametrize("script", ["run_litert.py", "run_mediapipe.py"])
def test_they_are_short(script: str) -> None:
    imports = sum(line.startswith(("import ", "from ")) for line in (ROOT / "examples" / script).read_text().splitlines())
    assert code_lines(script) - imports <= 15
    assert "portraitseg" not in (ROOT / "examples" / script).read_text()


def test_portraitseg_is_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("import portraitseg")
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, tmp_path / "x.py"], capture_output=True, text=True, check=False)
    assert "import of portraitseg halted" in done.stderr


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_litert(model: Path, tmp_path: Path) -> None:
    run(sys.executable, "run_litert.py", model, SAMPLE, tmp_path / "mask.png")
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    ours = predict(open_artifact(model), image.read(SAMPLE))
    assert mask.shape == (512, 512)
    assert np.abs(mask / 255 - ours).max() < 0.6 / 255
    assert mask.std() > 90


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_mediapipe(model: Path, tmp_path: Path, mediapipe_python: Path) -> None:
    """With the sample at the net's size, where neither side has anything to resize."""
    card = Card.load(card_path(model))
    small = tmp_path / "photo.png"
    image.write(small, image.resize(image.read(SAMPLE), card.size))
    path = tmp_path / "net.tflite"
    path.write_bytes(mediapipe.with_metadata(model.read_bytes(), card, {EMBEDDED: card.embedded()}))
    run(mediapipe_python, "run_mediapipe.py", path, small, tmp_path / "mask.png", tmp_path / "category.png")
    ours = open_artifact(path)(image.read(small))
    mask, category = (cv2.imread(str(tmp_path / f"{name}.png"), cv2.IMREAD_UNCHANGED) for name in ("mask", "category"))
    assert np.abs(mask / 255 - ours).max() < 0.6 / 255
    np.testing.assert_array_equal(category, np.where(ours > 0.5, 255, 0))


RUNTIME = """
import sys
from pathlib import Path
import numpy as np
from portraitseg import image
from portraitseg.runtime import open_artifact
runtime = open_artifact(Path(sys.argv[1]), engine="mediapipe")
np.save(sys.argv[3], runtime(image.read(Path(sys.argv[2]))))
"""


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_our_runtime_for_mediapipe(model: Path, tmp_path: Path, mediapipe_python: Path) -> None:
    """With a photo of another size: here the resizing is ours."""
    card = Card.load(card_path(model))
    path = tmp_path / "net.tflite"
    path.write_bytes(mediapipe.with_metadata(model.read_bytes(), card, {EMBEDDED: card.embedded()}))
    command = [mediapipe_python, "-c", RUNTIME, path, SAMPLE, tmp_path / "prob.npy"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "prob.npy"), open_artifact(path)(image.read(SAMPLE)), atol=1e-4)


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path) -> None:
    card, path = Card.load(card_path(MODELS[0])), tmp_path / "net.tflite"
    path.write_bytes(tflite_metadata.add(MODELS[0].read_bytes(), {EMBEDDED: card.embedded()}))
    with pytest.raises(ImportError, match=r'"mediapipe", which cannot be installed beside .*mp/bin/pip install mediapipe=='):
        open_artifact(path, engine="mediapipe")
