"""The folder that is published: artifacts with their cards, and what was measured of others beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from portraitseg.card import Card, card_path
from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.publish import texts
from portraitseg.publish.measured import Measured

PEERS = "peers.json"
"""In the folder: the figures of other projects' files, which have no card."""
SUFFIXES = (".tflite", ".onnx")


@dataclass(frozen=True)
class Model:
    """An artifact of the folder."""

    path: Path
    card: Card
    measured: Measured


@dataclass(frozen=True)
class Published:
    """What is told of a folder."""

    models: tuple[Model, ...]
    peers: Mapping[str, Measured]
    """Name of another project's file -> what was measured of it in the same run."""


def artifacts(folder: Path) -> list[Path]:
    """The artifacts that lie in the folder itself, by name.

    Raises:
        InputError: there is none, or one has no card.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)
    if not found:
        raise InputError(f"no .tflite or .onnx file in {folder}; give the folder that export.py wrote to (--out)")
    for path in found:
        Card.load(card_path(path))
    return found


def save(measured: Mapping[Path, Measured], folder: Path) -> None:
    """Write what was measured: of the folder's artifacts into their cards, of others into peers.json. No artifact changes.

    What a card says of use and limits stays; where it says nothing, it gets what holds for every model of the kind.
    """
    own = artifacts(folder)
    for path in own:
        card = Card.load(card_path(path))
        card = replace(card, measured=measured[path].as_json(), use=card.use or texts.use(card), limits=card.limits or texts.limits(card))
        card.save(card_path(path))
    peers = {path.name: item.as_json() for path, item in measured.items() if path not in own}
    if not peers:  # those of an earlier run are not to be compared with this one
        (folder / PEERS).unlink(missing_ok=True)
        return
    with atomic(folder / PEERS) as temporary:
        temporary.write_text(json.dumps(peers, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Published:
    """Read what `save` wrote.

    Raises:
        InputError: something was not measured, not on the same pictures and device, or cannot be read.
    """
    cards = {path: Card.load(card_path(path)) for path in artifacts(folder)}
    models = [Model(path, card, Measured.parse(card.measured, str(card_path(path)))) for path, card in cards.items()]
    published = Published(tuple(models), _peers(folder / PEERS))
    every = [*(model.measured for model in models), *published.peers.values()]
    ways = {(item.data, item.pictures, tuple(item.subsets), row.device, row.runs) for item in every for row in item.latency}
    if len(ways) > 1:
        raise InputError(f"{folder}: not all was measured on the same pictures and device, in as many runs; measure again with --data")
    return published


def _peers(path: Path) -> dict[str, Measured]:
    try:
        raw = dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"cannot read {path} ({error}); measure again with --data and --beside") from error
    return {name: Measured.parse(item, f"{path}, {name},") for name, item in raw.items()}
