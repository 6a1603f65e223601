"""The card: there and back, and what is not one."""

import dataclasses
import json

import pytest

from portraitseg.card import MAX_BYTES, SYMMETRIC, Card, card_path
from portraitseg.errors import InputError

CARD = Card(
    arch="munet_mnv2", wm=0.5, size=(128, 160), input=SYMMETRIC, options={"decoder": "deconv"}, data=("a", "b"), metrics={"miou": 90.5}
)


def test_there_and_back(tmp_path):
    CARD.save(tmp_path / "x.json")
    assert Card.load(tmp_path / "x.json") == CARD


def test_what_is_told_comes_back_and_none_of_it_is_needed(tmp_path):
    told = {"made": {"commands": ["python train.py"], "hours": 0.5}, "measured": {"bytes": 3}, "use": "calls", "limits": "hair"}
    card = dataclasses.replace(CARD, **told)
    card.save(tmp_path / "x.json")
    assert Card.load(tmp_path / "x.json") == card
    older = {key: value for key, value in json.loads(card.to_json()).items() if key not in told}
    assert Card.parse(json.dumps(older).encode(), "x") == CARD
    assert not card.differing(CARD)  # an artifact goes by the card inside it as well, which was written before it was measured


@pytest.mark.parametrize("changes", [{"made": []}, {"measured": "much"}, {"use": None}, {"limits": 3}])
def test_what_is_told_is_of_its_kind(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        Card.parse(json.dumps({**json.loads(CARD.to_json()), **changes}).encode(), "x")


def test_name():
    assert CARD.name == "munet_mnv2_deconv-wm050-128x160"
    assert dataclasses.replace(CARD, size=(224, 224), wm=0.35, options={}).name == "munet_mnv2-wm035-224"
    assert dataclasses.replace(CARD, size=(224, 224), wm=0.35, options={}, channels=4).name == "munet_mnv2-wm035-224-prior"


def test_path_is_beside_the_model(tmp_path):
    assert card_path(tmp_path / "a-int8.tflite") == tmp_path / "a-int8.json"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"arch": "x", "wm": 1, "size": [1], "input": {}}', "\x00"])
def test_not_a_card(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match="card"):
        Card.load(tmp_path / "x.json")


def test_missing(tmp_path):
    with pytest.raises(InputError, match="no card"):
        Card.load(tmp_path / "x.json")


def test_a_field_of_a_later_version_is_let_be(tmp_path):
    CARD.save(tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text()
    (tmp_path / "x.json").write_text(text.replace("{", '{"later": 1,', 1))
    assert Card.load(tmp_path / "x.json") == CARD


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wm", float("nan")), ("wm", 0), ("wm", "1"), ("size", [10**6, 64]), ("size", [-64, 64]), ("size", [1e400, 64]),
        ("channels", 10**9), ("input", {"mean": [0, 0, 0], "std": [1, 1, 1], "order": "rbg"}),
        ("channels", [3]), ("classes", 3), ("options", []), ("metrics", "x"), ("arch", {"a": 1}), ("sha256", 5), ("fit", None), ("data", 7),
        ("input", {"mean": [0, 0, 0], "std": [1, 0, 1], "order": "rgb"}),
        ("input", {"mean": [0, 0, float("inf")], "std": [1, 1, 1], "order": "rgb"}),
    ],
)  # fmt: skip
def test_a_value_that_no_card_can_have(tmp_path, field, value):
    CARD.save(tmp_path / "x.json")
    raw = json.loads((tmp_path / "x.json").read_text())
    (tmp_path / "x.json").write_text(json.dumps({**raw, field: value}))
    with pytest.raises(InputError, match="is not a portraitseg card"):
        Card.load(tmp_path / "x.json")


def test_deep_and_long_ones_are_errors_too(tmp_path):
    for text in ("[" * 200_000, " " * (MAX_BYTES + 1), '{"a":' * 100_000):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(InputError, match="cannot read the card"):
            Card.load(tmp_path / "x.json")


def test_the_embedded_form_is_the_card_but_for_the_files_digest():
    card = dataclasses.replace(CARD, sha256="ab" * 32)
    back = Card.parse(card.embedded(), "here")
    assert back == CARD
    assert card.differing(back) == []
    assert card.differing(dataclasses.replace(back, size=(1, 2), fit="letterbox", licence="MIT")) == ["size", "fit"]
