"""Which card an artifact goes by: the one given, the one beside it, or the one inside."""

import hashlib
from pathlib import Path

from portraitseg import tflite_metadata
from portraitseg.card import EMBEDDED, MAX_BYTES, Card, card_path
from portraitseg.errors import InputError


def has_card(path: Path) -> bool:
    """Whether an artifact comes with a card, beside it or inside."""
    return card_path(path).is_file() or _inside(path) is not None


def find(path: Path, given: Card | None = None) -> Card:
    """The card of a .tflite.

    Args:
        path: the artifact.
        given: by the user or the program; then no other counts.

    Raises:
        InputError: there is none, one cannot be read, the file's digest is not the card's, or the card beside the file contradicts the
            one inside.
    """
    inside = None if given else _inside(path)
    beside = Card.load(card_path(path)) if given is None and card_path(path).is_file() else given
    card = beside or inside
    if card is None:
        raise InputError(
            f"{path} has no card ({card_path(path).name} beside it, or one inside), so its input range is not known; "
            "copy the card too, or for a model of another project say --input-range 0..1, -1..1, 0..255 or imagenet"
        )
    if card.sha256 and digest(path) != card.sha256:
        raise InputError(f"{path} is damaged, or {card_path(path).name} is the card of another file (SHA-256 differs); copy both again")
    differing = inside.differing(card) if inside else []
    if differing:
        raise InputError(
            f"{card_path(path)} and the card inside {path.name} differ in {', '.join(differing)}; "
            "copy both again, or remove the .json: the one inside will do"
        )
    return card


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(_content(path)).hexdigest()


def _inside(path: Path) -> Card | None:
    block = tflite_metadata.read(_content(path), EMBEDDED, most=MAX_BYTES + 1)
    return None if block is None else Card.parse(block, f"inside {path}")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a .tflite file") from error
