"""Run a model file: picture in, prob out. Without TensorFlow, except for checkpoints, SavedModels and frozen graphs."""

import importlib
import tempfile
from dataclasses import replace
from pathlib import Path

from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.parts import sha256
from portraitseg.runtime import bundle, cards, probe
from portraitseg.runtime.base import Artifact, Engine, Runtime, predict
from portraitseg.runtime.cards import has_card
from portraitseg.runtime.foreign import card_of
from portraitseg.runtime.video import Video

__all__ = ["ENGINES", "Artifact", "Runtime", "Video", "foreign_card", "has_card", "kind", "open_artifact", "predict"]

ENGINES = {
    ".tflite": "tflite",
    ".onnx": "onnx",
    ".xml": "openvino",
    ".pb": "frozen",
    "a folder": "saved_model",
    ".h5": "keras",
}
"""Suffix -> the module of this package that opens such a file; imported when one is opened."""
BUNDLE = ".zip"
CHOICES = {"mediapipe": ".tflite"}
"""Modules that open files which another one opens by default -> the files' suffix."""


def open_artifact(
    path: Path, *, threads: int = 2, card: Card | None = None, engine: str | None = None, weight_cache: Path | None = None
) -> Artifact:
    """Load a model by its suffix.

    A file whose digest no card has is opened in another process first, where its kind needs that: see `probe.check`.

    Args:
        path: an artifact or a checkpoint, see `ENGINES`, or a bundle (.zip) with an artifact and its card.
        threads: of the CPU, for the net itself. TensorFlow, which has them for the whole process, says so if it runs with others.
        card: for a file of another project, which has no card beside it or inside; see `foreign_card`.
        engine: a name of `CHOICES`, to open the file by another library than its suffix says.
        weight_cache: a folder where XNNPACK keeps packed weights from one start to the next; for LiteRT alone.

    Raises:
        InputError: the file is missing, broken, of another kind, without a card, or does not fit its card.
        ImportError: the suffix needs a package that is not installed.
    """
    check_kind(path)
    if kind(path) == BUNDLE:
        return _unpacked(path, threads, card, engine, weight_cache)
    if path.suffix.lower() == ".h5" and card is not None:
        raise InputError(f"{path} is a checkpoint: it is built from the card beside it and takes no other")
    card = cards.find(path, card)
    if card is None or not card.sha256:
        probe.check(path, _module(path, engine))
    opened = open_engine(path, threads, engine) if weight_cache is None else _cached(path, threads, engine, weight_cache)
    return Artifact(path, opened, cards.required(card, path))


def _cached(path: Path, threads: int, engine: str | None, folder: Path) -> Engine:
    from portraitseg.runtime import weight_cache

    if _module(path, engine) != "tflite":
        raise InputError(f"the weight cache is XNNPACK's, for .tflite files run by LiteRT, got {path}; leave --weight-cache out")
    return weight_cache.open_engine(path, threads, folder)


def _unpacked(path: Path, threads: int, card: Card | None, engine: str | None, weight_cache: Path | None) -> Artifact:
    folder = tempfile.TemporaryDirectory(prefix="portraitseg-")
    inside = bundle.unpack(path, Path(folder.name))
    artifact = open_artifact(inside, threads=threads, card=card, engine=engine, weight_cache=weight_cache)
    artifact.folder = folder  # goes when the artifact goes
    return artifact


def open_engine(path: Path, threads: int, name: str | None = None) -> Engine:
    """The file, opened by its library.

    Raises:
        InputError: as `open_artifact`.
        ImportError: as `open_artifact`.
    """
    check_kind(path)
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    module = importlib.import_module(f"portraitseg.runtime.{_module(path, name)}")
    engine: Engine = module.open_engine(path, threads)
    return engine


def foreign_card(path: Path, *, input_range: str, order: str = "rgb", output: str = "auto", fit: str = "stretch") -> Card:
    """A card for a file that has none: size, channels and classes are read from its ends.

    Args:
        path: the artifact.
        input_range: what 0 to 255 is scaled to: a name of `foreign.RANGES`.
        order: of the channels, "rgb" or "bgr".
        output: what the net gives: "prob", "logits" (a sigmoid follows, or with two classes a softmax), or "auto", which looks at
            the outputs for two pictures: numbers outside [0,1], or two classes that do not add up to 1, are logits.
        fit: "stretch" or "letterbox".

    Raises:
        InputError: a name is not one of those allowed, or the file cannot be run.
    """

    def opened() -> Engine:
        check_kind(path)
        probe.check(path, _module(path))
        return open_engine(path, 1)

    card = card_of(path, opened, input_range=input_range, order=order, output=output, fit=fit)
    return replace(card, sha256=sha256(path))  # of the file that was probed: it need not be again


def _module(path: Path, name: str | None = None) -> str:
    """The module that opens `path`: the one that was chosen, else by the suffix."""
    if kind(path) == BUNDLE:
        raise InputError(f"{path} is a bundle, which brings its card; leave the input range out, or unzip it and give the file in it")
    if name is None:
        return ENGINES[kind(path)]
    if CHOICES.get(name) != kind(path):
        allowed = ", ".join(f"{name} for {suffix}" for name, suffix in CHOICES.items())
        raise InputError(f"engine {name!r} does not open {path}; there is {allowed}, or none: the suffix decides")
    return name


def kind(path: Path) -> str:
    """The key of `ENGINES`, whether there is such a one or not."""
    return "a folder" if path.is_dir() else path.suffix.lower()


def check_kind(path: Path) -> None:
    """Refuse what no engine opens.

    Raises:
        InputError: the suffix is another one, or there is no such file.
    """
    if kind(path) not in (*ENGINES, BUNDLE):
        *names, last = *ENGINES, BUNDLE
        raise InputError(f"cannot run {path}: it must be {', '.join(names)} or {last}, got {path.suffix!r}; export.py makes them")
    if not path.exists():
        raise InputError(f"no model file {path}; give one that export.py wrote or a checkpoint (.h5) of train.py")
