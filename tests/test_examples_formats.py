"""A stranger's code, with nothing of ours installed, on our files of the formats beside .tflite: its mask is ours."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tf_keras as keras

from portraitseg import image
from portraitseg.card import IMAGENET, SYMMETRIC, Card, card_path
from portraitseg.cli.test import SAMPLE
from portraitseg.export import formats
from portraitseg.runtime import open_artifact, predict

EXAMPLES = Path(__file__).parents[1] / "examples"
ALONE = "import runpy, sys; sys.modules['portraitseg'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
"""Runs a script in a Python that cannot import portraitseg."""
SCRIPTS = ("run_onnx.py", "run_openvino.py", "run_saved_model.py", "run_frozen.py")
ONE = Card(arch="conv", wm=1.0, size=(48, 64), input=SYMMETRIC, output="prob")
TWO = replace(ONE, classes=2, input=replace(IMAGENET, mean=IMAGENET.mean[::-1], std=IMAGENET.std[::-1], order="bgr"))


def net(card: Card) -> keras.Model:
    """One convolution whose prob varies over the whole range."""
    taken = keras.Input((*card.size, 3), 1)
    logits = keras.layers.Conv2D(card.classes, 3, padding="same", name="head")(taken)
    model = keras.Model(taken, keras.layers.Activation("sigmoid" if card.classes == 1 else "softmax")(logits))
    model.set_weights([np.random.default_rng(1).normal(0, 0.7, weight.shape) for weight in model.weights])
    return model


@pytest.mark.parametrize("script", SCRIPTS)
def test_they_are_15_lines(script: str) -> None:
    lines = [line for line in (EXAMPLES / script).read_text().splitlines()[1:] if line.strip()]
    assert len([line for line in lines if not line.startswith("import ")]) <= 15
    assert "portraitseg" not in "".join(lines)


@pytest.mark.parametrize(
    ("script", "form", "name", "card"),
    [
        ("run_onnx.py", "onnx", "net.onnx", ONE),
        ("run_onnx.py", "onnx", "net.onnx", replace(TWO, layout="nchw")),
        ("run_openvino.py", "openvino", "net.xml", ONE),
        ("run_openvino.py", "openvino", "net.xml", TWO),
        pytest.param("run_saved_model.py", "saved_model", "net", TWO, marks=pytest.mark.slow),  # these two start TensorFlow
        pytest.param("run_frozen.py", "frozen", "net.pb", TWO, marks=pytest.mark.slow),
    ],
    ids=["onnx", "onnx-nchw-bgr", "openvino", "openvino-bgr", "saved_model", "frozen"],
)
def test_its_mask_is_ours(script: str, form: str, name: str, card: Card, tmp_path: Path) -> None:
    model = tmp_path / name
    formats.write(form, net(card), card, model, None)
    card.save(card_path(model))
    words = [sys.executable, "-I", "-c", ALONE, EXAMPLES / script, model, SAMPLE, tmp_path / "mask.png"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    ours = predict(open_artifact(model), image.read(SAMPLE))
    assert mask.shape == (512, 512)
    assert np.abs(mask / 255 - ours).max() < 0.6 / 255
    assert mask.std() > 40
