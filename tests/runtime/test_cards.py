"""The card beside a file, the one inside, and a file that no card vouches for."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from portraitseg import elsewhere, tflite_metadata
from portraitseg.card import EMBEDDED, Card, card_path
from portraitseg.errors import InputError
from portraitseg.parts import sha256
from portraitseg.runtime import cards, foreign_card, has_card, open_artifact, probe

MODEL = next((Path(__file__).parents[2] / "models").glob("*-int8.tflite"))
PICTURE = np.random.default_rng(0).integers(0, 256, (80, 60, 3), np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The bundled net with its card inside and beside it."""
    path, card = tmp_path / "net.tflite", Card.load(card_path(MODEL))
    path.write_bytes(tflite_metadata.add(MODEL.read_bytes(), {EMBEDDED: card.embedded()}))
    dataclasses.replace(card, sha256=sha256(path)).save(card_path(path))
    return path


def change(path: Path, **values: object) -> None:
    """Rewrite the card beside the file."""
    dataclasses.replace(Card.load(card_path(path)), **values).save(card_path(path))


def test_the_one_inside_is_enough(path: Path) -> None:
    beside = open_artifact(path)
    card_path(path).unlink()
    alone = open_artifact(path)
    assert alone.card == dataclasses.replace(beside.card, sha256="")
    np.testing.assert_array_equal(alone(PICTURE), beside(PICTURE))
    np.testing.assert_array_equal(alone(PICTURE), open_artifact(MODEL)(PICTURE))
    assert has_card(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("fit", "letterbox"), ("output", "logits"), ("size", (256, 255)), ("wm", 1.0), ("options", {"x": 1}), ("io", "float32")],
)
def test_two_that_disagree_are_refused(path: Path, field: str, value: object) -> None:
    change(path, **{field: value})
    with pytest.raises(InputError, match=rf"net\.json and the card inside net\.tflite differ in {field}; .*remove the \.json"):
        open_artifact(path)


def test_a_digest_inside_vouches_for_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card.load(card_path(path))
    card_path(path).unlink()
    path.write_bytes(tflite_metadata.add(path.read_bytes(), {EMBEDDED: card.to_json().encode()}))
    assert card.sha256
    monkeypatch.setattr("portraitseg.runtime.probe.check", refuse)
    with pytest.raises(AssertionError, match="opened elsewhere"):
        open_artifact(path)


def test_what_does_not_change_how_it_is_fed_may_differ(path: Path) -> None:
    change(path, metrics={"iou": 1.0}, licence="MIT")
    assert open_artifact(path).card.licence == "MIT"


def test_a_broken_one_inside_is_named(path: Path) -> None:
    card_path(path).unlink()
    path.write_bytes(tflite_metadata.add(path.read_bytes(), {EMBEDDED: b'{"arch": 1}'}))
    with pytest.raises(InputError, match=r"inside .*net\.tflite is not a portraitseg card"):
        open_artifact(path)


def test_a_given_one_counts_alone(path: Path) -> None:
    change(path, fit="letterbox")
    assert open_artifact(path, card=Card.load(card_path(path))).card.fit == "letterbox"


def refuse(path: Path, module: str) -> None:
    raise AssertionError("opened elsewhere")


def test_only_a_file_without_a_matching_digest_is_opened_elsewhere_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = foreign_card(path, input_range="-1..1")
    monkeypatch.setattr("portraitseg.runtime.probe.check", refuse)
    open_artifact(path)
    open_artifact(path, card=card)
    for act in (lambda: foreign_card(path, input_range="-1..1"), lambda: open_artifact(path, card=dataclasses.replace(card, sha256=""))):
        with pytest.raises(AssertionError, match="opened elsewhere"):
            act()
    card_path(path).unlink()
    with pytest.raises(AssertionError, match="opened elsewhere"):
        open_artifact(path)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.abort()", r"reading .*net\.tflite ends the process \(signal 6\)"),
        ("while True: pass", "was not read within 1 s of processor time"),
        ("import time; time.sleep(60)", "was not read within 1 s of processor time"),
    ],
)
def test_a_child_that_dies_or_hangs_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str) -> None:
    monkeypatch.setattr(elsewhere, "SECONDS", 1)
    monkeypatch.setattr(elsewhere, "PATIENCE", 60)
    monkeypatch.setattr(elsewhere, "IDLE", 1.5)
    start = time.monotonic()
    with pytest.raises(InputError, match=message):
        elsewhere.run(code, path)
    assert time.monotonic() - start < 30


def test_an_exception_is_the_callers_and_memory_is_limited(path: Path) -> None:
    assert elsewhere.run("bytearray(2**33)", path) == "MemoryError"
    assert elsewhere.run("raise ValueError(sys.argv[1:])", path, "more") == f"ValueError: {[str(path), 'more']}"
    assert elsewhere.run("", path) is None


def test_a_good_file_passes_and_one_of_another_kind_too(path: Path, tmp_path: Path) -> None:
    probe.check(path, "tflite")
    (tmp_path / "x.onnx").write_bytes(b"")
    probe.check(tmp_path / "x.onnx", "onnx")
    assert cards.inside(tmp_path / "x.onnx") is None
