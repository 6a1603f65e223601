"""Mutated files of the formats beside .tflite: an error at the most, no crash and no hang; see hostile_formats.py."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from portraitseg.card import UNIT, Card
from portraitseg.export import formats

SCRIPT = Path(__file__).with_name("hostile_formats.py")
NAMES = {"onnx": "net.onnx", "openvino": "net.xml", "frozen": "net.pb", "saved_model": "net"}


def outcome(form: str, folder: Path, count: int) -> dict[str, float]:
    image = keras.Input((32, 32, 3), 1)
    x = keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(1, 1, activation="sigmoid")(keras.layers.UpSampling2D(interpolation="bilinear")(x))
    model = keras.Model(image, x)
    model.set_weights([np.random.default_rng(1).normal(0, 1, weight.shape) for weight in model.weights])
    formats.write(form, model, Card(arch="conv", wm=1.0, size=(32, 32), input=UNIT), folder / NAMES[form], None)
    command = [sys.executable, SCRIPT, folder / NAMES[form], str(count), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["slowest"] <= 10
    assert sum(result.get(name, 0) for name in ("ran", "refused", "stopped")) >= count
    return result


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_a_few_mutated_files(form: str, tmp_path: Path) -> None:
    assert outcome(form, tmp_path, 60)["refused"] > 12


@pytest.mark.slow
@pytest.mark.parametrize("form", NAMES)
def test_two_thousand_mutated_files(form: str, tmp_path: Path) -> None:
    assert outcome(form, tmp_path, 2000)["refused"] > 400
