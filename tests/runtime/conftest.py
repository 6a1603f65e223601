"""A net in every format that a runtime opens."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tf_keras as keras

from portraitseg import checkpoint
from portraitseg.card import Card, card_path
from portraitseg.export import formats, tflite
from portraitseg.rewrite import deploy

Write = Callable[[str, keras.Model, Card, Path], Path]

NAMES = {
    "keras": "net.h5",
    "tflite": "net.tflite",
    "onnx": "net.onnx",
    "onnx-nchw": "net-nchw.onnx",
    "openvino": "net.xml",
    "saved_model": "net-saved_model",
    "frozen": "net.pb",
}
"""Kind -> name of its file."""


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def write_as() -> Write:
    """(kind, trained net, its card, folder) -> path of the file, its card beside it."""

    def write(kind: str, model: keras.Model, card: Card, folder: Path) -> Path:
        path = folder / NAMES[kind]
        if kind == "keras":
            checkpoint.save(model, card, path)
            return path
        graph, card = deploy.to_deploy(model, card)
        form, _, layout = kind.partition("-")
        card = replace(card, layout=layout or "nhwc")
        if form == "tflite":
            path.write_bytes(tflite.convert(graph, "fp32"))
        else:
            formats.write(form, graph, card, path, None)
        card.save(card_path(path))
        return path

    return write
