"""Run a model file: picture in, prob out. Without TensorFlow, except for checkpoints."""

from collections.abc import Callable
from pathlib import Path

from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.runtime.base import Runtime, predict
from portraitseg.runtime.foreign import foreign_card
from portraitseg.runtime.video import Video

__all__ = ["RUNTIMES", "Runtime", "Video", "foreign_card", "open_artifact", "predict"]


def open_artifact(path: Path, *, threads: int = 2, card: Card | None = None) -> Runtime:
    """Load a model by its suffix.

    Args:
        path: an artifact (.tflite) or a checkpoint (.h5).
        threads: of the CPU, for the net itself.
        card: for a file of another project, which has no card beside it; see `foreign_card`.

    Raises:
        InputError: the file is missing, broken, of another kind, without a card, or does not fit its card.
        ImportError: the suffix needs a package that is not installed.
    """
    loader = RUNTIMES.get(path.suffix.lower())
    if loader is None:
        raise InputError(f"cannot run {path}: its suffix must be {' or '.join(RUNTIMES)}, got {path.suffix!r}; export.py makes a .tflite")
    if not path.is_file():
        raise InputError(f"no model file {path}; give a .tflite that export.py wrote or a checkpoint (.h5) of train.py")
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    return loader(path, threads, card)


def _tflite(path: Path, threads: int, card: Card | None) -> Runtime:
    from portraitseg.runtime.tflite import TFLite

    return TFLite(path, threads=threads, card=card)


def _keras(path: Path, threads: int, card: Card | None) -> Runtime:
    from portraitseg.runtime.keras import Keras

    if card is not None:
        raise InputError(f"{path} is a checkpoint: it is built from the card beside it and takes no other")
    return Keras(path, threads=threads)


RUNTIMES: dict[str, Callable[[Path, int, Card | None], Runtime]] = {".tflite": _tflite, ".h5": _keras}
