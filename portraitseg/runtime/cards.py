"""Which card an artifact goes by: the one given, the one beside it, or the one inside."""

from dataclasses import replace
from pathlib import Path

from portraitseg import onnx_metadata, tflite_metadata
from portraitseg.card import EMBEDDED, MAX_BYTES, Card, card_path
from portraitseg.errors import InputError
from portraitseg.parts import sha256


def has_card(path: Path) -> bool:
    """Whether an artifact comes with a card, beside it or inside; a bundle always does."""
    return path.suffix.lower() == ".zip" or card_path(path).is_file() or inside(path) is not None


def find(path: Path, given: Card | None = None) -> Card | None:
    """The card of an artifact, None where there is none.

    Args:
        path: the artifact.
        given: by the user or the program; then no other counts.

    Raises:
        InputError: one cannot be read, the file's digest is not the card's, or the card beside the file contradicts the
            one inside.
    """
    beside = Card.load(card_path(path)) if given is None and card_path(path).is_file() else given
    if beside and beside.sha256 and sha256(path) != beside.sha256:
        raise InputError(f"{path} is damaged, or {card_path(path).name} is the card of another file (SHA-256 differs); copy both again")
    within = None if given else inside(path)
    differing = within.differing(beside) if beside and within else []
    if differing:
        raise InputError(
            f"{card_path(path)} and the card inside {path.name} differ in {', '.join(differing)}; "
            "copy both again, or remove the .json: the one inside will do"
        )
    return beside or within


def required(card: Card | None, path: Path) -> Card:
    """The card, or an InputError that says what to do without one."""
    if card is None:
        raise InputError(
            f"{path} has no card ({card_path(path).name} beside it, or one inside), so its input range is not known; "
            "copy the card too, or for a model of another project say --input-range 0..1, -1..1, 0..255 or imagenet"
        )
    return card


def inside(path: Path) -> Card | None:
    """The card that a .tflite or .onnx carries in its metadata; None where there is none.

    Raises:
        InputError: the file or the card in it cannot be read.
    """
    read = {".tflite": tflite_metadata.read, ".onnx": onnx_metadata.read}.get(path.suffix.lower())
    if read is None:
        return None
    try:
        block = read(path.read_bytes(), EMBEDDED, most=MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a file that export.py wrote") from error
    return None if block is None else replace(Card.parse(block, f"inside {path}"), sha256="")  # no file can hold its own digest
