"""The models that ship: whole, small, described, and as their README says."""

import re
from pathlib import Path

import pytest

from portraitseg import image
from portraitseg.card import Card, card_path
from portraitseg.cli.defaults import MODEL
from portraitseg.cli.test import SAMPLE
from portraitseg.export import tflite_report
from portraitseg.runtime import open_artifact, predict

MODELS = Path(__file__).parents[1] / "models"
ARTIFACTS = sorted(MODELS.glob("*.tflite"))


def test_they_are_small_and_each_has_its_card():
    assert MODEL in ARTIFACTS
    assert sum(path.stat().st_size for path in ARTIFACTS) < 5_000_000
    assert {path.suffix for path in MODELS.iterdir() if path.is_file()} == {".tflite", ".json", ".md"}
    assert {card_path(path) for path in ARTIFACTS} == set(MODELS.glob("*.json"))


@pytest.mark.parametrize("path", ARTIFACTS, ids=lambda path: path.stem)
def test_the_card_tells_what_a_user_must_know(path):
    card = Card.load(card_path(path))
    assert card.sha256
    assert card.data
    assert "research and evaluation" in card.licence
    assert path.stem == f"{card.name}-{card.quant}"
    assert not re.search(r"[/\\]", str(card.training["data"]))  # no folder of the machine that trained it


@pytest.mark.parametrize("path", ARTIFACTS, ids=lambda path: path.stem)
def test_they_find_the_astronaut(path):
    """The suit at the lower left is person, the picture's upper corners are not."""
    prob = predict(open_artifact(path), image.read(SAMPLE))
    assert prob[300:420, 120:260].mean() > 0.9
    assert prob[30:120, 190:260].mean() > 0.9  # the face
    assert prob[:80, :60].mean() < 0.1
    assert prob[:80, -80:].mean() < 0.1


def test_int8_is_one_partition_without_float_tensors():
    report = tflite_report.inspect(MODEL.read_bytes())
    assert report.partitions == 1
    assert not report.float_tensors


def test_the_readme_repeats_the_cards():
    text = (MODELS / "README.md").read_text()
    for path in ARTIFACTS:
        card = Card.load(card_path(path))
        row = next(line for line in text.splitlines() if line.startswith(f"| `{path.name}`"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1:3] == [card.quant, f"{path.stat().st_size / 1000:.0f}"]
        assert float(cells[3]) == pytest.approx(card.metrics["miou"], abs=0.2)  # the artifact's own figure, beside the checkpoint's
