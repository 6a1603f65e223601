"""The drawing of a net's stages, as picture and as text."""

import itertools
import re
import sys

import numpy as np
import pytest

from portraitseg import image
from portraitseg.archs import diagram
from portraitseg.archs.summary import Source, Stage
from portraitseg.errors import InputError


def stage(name, side, channels, *sources, params=10):
    ops = ("conv 3x3",) if params else ("bilinear x2", "add")
    made = tuple(Source(stage=source, channels=width) for source, width in sources)
    return Stage(name=name, size=(side, side), channels=channels, ops=ops, params=params, macs=1000 * params, sources=made)


STAGES = [
    stage("image", 32, 3),
    stage("enc 1/2", 16, 8, ("image", 3)),
    stage("enc 1/4", 8, 12, ("enc 1/2", 8)),
    stage("dec1", 16, 9, ("enc 1/2", 8), ("enc 1/4", 12)),
    stage("dec0", 32, 5, ("enc 1/2", 7), ("dec1", 9), params=0),
    stage("head", 32, 1, ("enc 1/4", 12), ("dec0", 5)),
]


def test_mermaid_has_every_stage_and_arrow():
    lines = diagram.mermaid(STAGES, "small").splitlines()
    assert lines[:4] == ["---", "title: small", "---", "flowchart LR"]
    text = "\n".join(lines)
    boxes = re.findall(r'^  (s\d+)\["(.*)<br/>(.*)"\]$', text, re.M)
    assert boxes[3] == ("s3", "dec1", "16x16x9")
    assert [name for _, name, _ in boxes] == [item.name for item in STAGES]
    assert re.findall(r"^  (s\d+) --> (s\d+)$", text, re.M) == [(f"s{n}", f"s{n + 1}") for n in range(5)]
    assert re.findall(r"^  (s\d+) -\. (\d+) \.-> (s\d+)$", text, re.M) == [("s1", "8", "s3"), ("s1", "7", "s4"), ("s2", "12", "s5")]
    assert "class s1,s2 enc" in text
    assert "class s3,s4 dec" in text


def test_png_shows_each_kind_of_box_and_the_skips(tmp_path):
    path = tmp_path / "new" / "net.png"
    diagram.write(path, STAGES, "small")
    pixels = image.read(path).reshape(-1, 3).astype(int)

    def share(colour):
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return np.mean((np.abs(pixels - wanted) < 6).all(-1))

    one = share(diagram.COLOURS["head"])
    assert 0.005 < one < 0.1
    assert share(diagram.COLOURS["enc"]) == pytest.approx(2 * one, rel=0.1)
    assert share(diagram.COLOURS["dec"]) == pytest.approx(2 * one, rel=0.1)
    assert share(diagram.SKIP) > 0.0001
    assert list(tmp_path.rglob("*")) == [tmp_path / "new", path]


def inside(point, box):
    """Whether a point lies within a box, not on its rim."""
    return abs(point[0] - box[0]) < diagram.WIDTH / 2 - 1e-9 and abs(point[1] - box[1]) < diagram.HEIGHT / 2 - 1e-9


@pytest.mark.parametrize("stages", [STAGES, [*STAGES[:4], STAGES[3], *STAGES[4:]]])
def test_no_skip_runs_through_a_box(stages):
    places, used = diagram._places(stages), {}
    for start, end in itertools.combinations(range(len(stages)), 2):
        route = diagram._route(places, start, end, used)
        for (x1, y1), (x2, y2) in itertools.pairwise(route):
            assert x1 == x2 or y1 == y2
            points = [(x1 + t * (x2 - x1), y1 + t * (y2 - y1)) for t in np.linspace(0, 1, 201)]
            assert not [(point, box) for point in points for box in places if inside(point, box)]
    assert any(used.values())


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "net.mmd"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already; add --force"):
        diagram.write(path, STAGES, "small")
    assert path.read_text() == "mine"
    diagram.write(path, STAGES, "small", force=True)
    assert path.read_text() == diagram.mermaid(STAGES, "small")


@pytest.mark.parametrize("name", ["net.svg", "net", "net.png.txt"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"a diagram ends in \.png or \.mmd, got"):
        diagram.write(tmp_path / name, STAGES, "small")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_text_still_works(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    diagram.write(tmp_path / "net.mmd", STAGES, "small")
    with pytest.raises(ImportError, match=r'"\.\[plot\]"'):
        diagram.write(tmp_path / "net.png", STAGES, "small")
    assert [path.name for path in tmp_path.iterdir()] == ["net.mmd"]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 "), (999, "999 "), (1_234, "1.2 k"), (123_456, "123 k"), (3_620_617, "3.6 M"), (2e11, "200 G")]
)
def test_short_numbers(value, text):
    assert diagram._short(int(value)) == text
