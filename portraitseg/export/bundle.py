"""An artifact with all that a stranger needs to run it, in one .zip; docs/mediapipe.md and docs/bundles.md show its use."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from portraitseg import image
from portraitseg.card import Card, card_path
from portraitseg.errors import InputError
from portraitseg.export.mediapipe import LABELS, labels
from portraitseg.parts import parts
from portraitseg.runtime import cards, kind, open_artifact, predict
from portraitseg.runtime.bundle import SUMS

ROOT = Path(__file__).parents[2]
PHOTO = Path(__file__).parents[1] / "assets" / "astronaut.jpg"
EXAMPLES = {".tflite": "litert", ".onnx": "onnx", ".xml": "openvino", ".pb": "frozen", "a folder": "saved_model"}
"""Kind of artifact -> the examples/run_*.py that runs it."""
README = """# {name}

A network that separates a person from the background; {height}x{width} pixels, {quant}.

| file | what it is |
|---|---|
| `{model}` | the network |
| `{card}` | its card: how a picture is prepared for it, what it was trained on, how well it does |
| `{labels}` | what the channels of its output are |
| `run.py` | runs it on a photo, without any code of its authors; its first line says what to install |
| `photo.jpg`, `mask.png` | a photo, and the mask that the network gives for it |
| `LICENSE.txt` | the terms of the network and of the photo; `LICENSE-code.txt` has those of `run.py` |
| `{sums}` | digests of all files: `sha256sum -c {sums}` |

```bash
python run.py {model} photo.jpg my-mask.png
```
"""
LICENCE = """{model}: {licence}

photo.jpg: Eileen Collins, NASA astronaut; from NASA's Great Images database by way of scikit-image, which states "No known copyright
restrictions, released into the public domain". Neither NASA nor the person shown endorses the network.

run.py: Apache License 2.0, see LICENSE-code.txt.
"""


def make(model: Path) -> bytes:
    """The bundle of an artifact; the same files give the same bytes.

    Raises:
        InputError: it is a checkpoint, has no card, cannot be run, or its net is one that `run.py` cannot feed.
    """
    if kind(model) not in EXAMPLES:
        raise InputError(f"cannot bundle {model}: it must be an artifact ({', '.join(EXAMPLES)}); export.py makes one of a checkpoint")
    runtime = open_artifact(model)
    card = runtime.card
    if card.channels != 3 or card.fit != "stretch":
        raise InputError(
            f"cannot bundle {model}: the example in a bundle feeds one picture of 3 channels, stretched to the net's size, but this net "
            f"has {card.channels} channels and fit {card.fit}"
        )
    mask = np.round(predict(runtime, image.read(PHOTO)) * 255).astype(np.uint8)
    files = _parts(model) | _texts(model, card) | {"photo.jpg": PHOTO.read_bytes(), "mask.png": cv2.imencode(".png", mask)[1].tobytes()}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return _zip(model.stem, {**files, SUMS: sums.encode()})


def _parts(model: Path) -> dict[str, bytes]:
    """The artifact and its card."""
    files = {path.relative_to(model.parent).as_posix(): path.read_bytes() for path in parts(model)}
    beside = card_path(model)
    card = beside.read_text(encoding="utf-8") if beside.is_file() else cards.required(cards.inside(model), model).to_json()
    return files | {beside.name: card.encode()}


def _texts(model: Path, card: Card) -> dict[str, bytes]:
    height, width = card.size
    values = {"name": card.name, "height": height, "width": width, "quant": card.quant, "labels": LABELS, "sums": SUMS}
    return {
        LABELS: labels(card).encode(),
        "README.md": README.format(model=model.name, card=card_path(model).name, **values).encode(),
        "LICENSE.txt": LICENCE.format(model=model.name, licence=card.licence).encode(),
        "LICENSE-code.txt": (ROOT / "LICENSE").read_bytes(),
        "run.py": (ROOT / "examples" / f"run_{EXAMPLES[kind(model)]}.py").read_bytes(),
    }


def _zip(folder: str, files: Mapping[str, bytes]) -> bytes:
    """All in one folder, by name, with the date of 1980 and uncompressed: what a compressor gives depends on its version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(f"{folder}/{name}")
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return buffer.getvalue()
