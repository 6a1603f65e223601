import csv
import sys
from pathlib import Path
from types import SimpleNamespace

import errors
import errors_figures
import numpy as np
import pytest

from portraitseg import image
from portraitseg.cli.defaults import MODEL
from portraitseg.data.sources import find_source
from tests import tiny

ROOT = Path(__file__).parents[1]


class Net:
    """Finds the same person in every picture."""

    card = SimpleNamespace(fit="stretch")

    def __init__(self, found: np.ndarray) -> None:
        self.found = found

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        return self.found.astype(np.float32)


def half(columns: int) -> np.ndarray:
    """The left `columns` of 40, of 10 rows."""
    return np.repeat(np.arange(40)[None] < columns, 10, axis=0)


@pytest.fixture
def source(tmp_path):
    """One picture whose left half is the person."""
    for name, pixels in (("images", np.full((10, 40, 3), 90, np.uint8)), ("masks", 255 * half(20).astype(np.uint8))):
        image.write(tmp_path / name / "some.png", pixels)
    return find_source(tmp_path)[0]


def test_false_pixels_are_counted_by_their_distance_from_the_true_edge(source) -> None:
    found = half(23)  # 3 columns too many: 1, 2 and 3 pixels from the edge
    found[:, :8] = False  # 8 columns missed: the person's nearest edge is 13 to 20 pixels away
    row = errors.compare(source, 0, [Net(found), Net(half(20)), Net(half(10))])
    assert row.picture == "some"
    assert row.counts.tolist() == [120, 30, 80, 170]
    assert row.near.tolist() == [20, 30, 30, 110]  # within 2, 5, 10 and 20
    assert row.ious == pytest.approx((100 * 120 / 230, 100, 50))


def test_no_error_and_no_person(source) -> None:
    row = errors.compare(source, 0, [Net(half(20))])
    assert row.near.tolist() == [0, 0, 0, 0]
    lines = list(errors_figures.summary(1, row.counts, row.near))
    assert lines[1] == "of these, taken for a person: 0%, missed: 0%"
    assert lines[2] == "within 2, 5, 10, 20 px of the true edge: 0%, 0%, 0%, 0%"
    assert errors_figures.distance(np.zeros((4, 4), np.uint8)).min() > 20  # there is no edge: nothing is near it


def test_a_group_costs_what_the_set_would_gain_without_its_errors() -> None:
    counts = {"one": np.array([40, 4, 16, 40]), "two": np.array([50, 0, 20, 30])}
    wrong, right = 50 * (90 / 130 + 70 / 110), 50 * (106 / 126 + 74 / 94)  # of both; with "one" as [56, 0, 0, 44]
    line = "first: 1 pictures, mIoU 66.67, 50.0% of the false pixels, costs"
    assert list(errors_figures.costs(counts, {"first": {"one", "elsewhere"}})) == [f"{line} {right - wrong:.2f} points"]


def test_difference_is_red_where_there_is_too_much_and_blue_where_it_lacks() -> None:
    found, truth = np.array([[1, 1, 0, 0]], np.uint8), np.array([[1, 0, 1, 0]], np.uint8)
    red, blue = errors.difference(np.full((1, 4, 3), 7, np.uint8), found, truth)[0, 1:3].astype(int)
    assert red[0] > red[2] + 100 and blue[2] > blue[0] + 100
    assert (errors.difference(np.full((1, 4, 3), 7, np.uint8), found, truth)[0, [0, 3]] == 7).all()


def run(monkeypatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["errors.py", *map(str, words)])
    errors.main()


def test_the_script_writes_sheets_and_a_line_a_picture(tmp_path, monkeypatch, capsys) -> None:
    data = tiny.write_discs(tmp_path / "discs", val=7)
    groups = tmp_path / "groups.csv"
    groups.write_text("picture,subset\nval0,one\n")
    run(monkeypatch, MODEL, "--data", data, "--beside", MODEL, "--subsets", groups, "--worst", 6, "--out", tmp_path / "out")
    assert capsys.readouterr().out.splitlines()[-1].startswith("one: 1 pictures, mIoU ")
    lines = list(csv.DictReader((tmp_path / "out" / "errors.csv").open()))
    assert list(lines[0]) == ["picture", "iou", "fp", "fn", "edge_share", MODEL.stem]
    assert sorted(line["picture"] for line in lines) == [f"val{number}" for number in range(7)]
    assert all(line["iou"] == line[MODEL.stem] for line in lines)
    shapes = [image.read(tmp_path / "out" / f"worst-{number}.png").shape for number in (1, 2)]
    assert shapes[0][1] == shapes[1][1] > 5 * 224 and shapes[0][0] > 4 * shapes[1][0]  # five lines, and one
    assert not (tmp_path / "out" / "worst-3.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--worst", "-1"], "--worst must be 0 or more, got -1"),
        (["--beside", "nowhere.tflite=0..1"], "no model file nowhere.tflite"),
        (["--beside", f"{MODEL}=0..2"], "must be one of 0..1, -1..1, 0..255, imagenet, got '0..2'"),
    ],
)
def test_what_cannot_be_used_is_said_without_a_traceback(words, message, tmp_path, monkeypatch) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, MODEL, "--data", tiny.write_discs(tmp_path, val=2), *words)
    assert str(stopped.value).startswith("error: ") and message in str(stopped.value)


def test_a_peer_without_a_card_is_asked_for_its_range(tmp_path, monkeypatch) -> None:
    peer = tmp_path / "peer.tflite"
    peer.write_bytes(b"none")
    with pytest.raises(SystemExit, match=r"error: .*peer.tflite has no card; say what it is fed: .*=0\.\.1"):
        run(monkeypatch, MODEL, "--data", tmp_path, "--beside", peer)


def test_the_subsets_are_sorted_and_complete() -> None:
    lines = (ROOT / "benchmarks" / "subsets.csv").read_text().splitlines()
    pairs = [tuple(line.split(",")) for line in lines[1:]]
    assert lines[0] == "picture,subset" and pairs == sorted(set(pairs))
    assert {subset for _, subset in pairs} == {"portrait", "full_body", "dark", "hair", "group", "eg1800"}
    views = [picture for picture, subset in pairs if subset in ("portrait", "full_body")]
    assert len(views) == len(set(views)) == len({picture for picture, _ in pairs}) == 220  # each is one of the two
