"""The card: there and back, and what is not one."""

import dataclasses

import pytest

from portraitseg.card import SYMMETRIC, Card, card_path
from portraitseg.errors import InputError

CARD = Card(
    arch="munet_mnv2", wm=0.5, size=(128, 160), input=SYMMETRIC, options={"decoder": "deconv"}, data=("a", "b"), metrics={"miou": 90.5}
)


def test_there_and_back(tmp_path):
    CARD.save(tmp_path / "x.json")
    assert Card.load(tmp_path / "x.json") == CARD


def test_name():
    assert CARD.name == "munet_mnv2_deconv-wm050-128x160"
    assert dataclasses.replace(CARD, size=(224, 224), wm=0.35, options={}).name == "munet_mnv2-wm035-224"


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
