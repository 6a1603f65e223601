"""Against PySODMetrics, whose figures for the pictures of published.py lie in published.json."""

import json
import runpy
import tomllib
from pathlib import Path

import numpy as np
import pytest

from portraitseg.metrics import Meter

HERE = Path(__file__).parent
PUBLISHED = json.loads((HERE / "published.json").read_text())
MADE = runpy.run_path(str(HERE / "published.py"))
CASES = MADE["cases"]()
SHARED = ("iou", "mae", "max_f", "weighted_f", "s_measure")


def percent(values):
    return {key: value if key == "mae" else 100 * value for key, value in values.items()}


def measured(pairs):
    meter = Meter(SHARED)
    for prob, mask in pairs:
        meter.add("", prob.astype(np.float32) / 255, mask)
    return meter.summary()


def test_the_figures_are_those_of_these_pictures():
    assert MADE["digest"]() == PUBLISHED["sha256"]
    assert set(CASES) == set(PUBLISHED["pictures"])


def assert_equal(ours, theirs):
    """To 1e-4; weighted F to 0.02 points: where several pixels are nearest, each program takes another one's error."""
    assert set(ours) == set(theirs) == set(SHARED)
    for key in SHARED:
        assert ours[key] == pytest.approx(theirs[key], abs=0.02 if key == "weighted_f" else 1e-4), key


def test_the_release_is_the_one_that_is_declared_and_that_ci_asks_again():
    wanted = f"pysodmetrics=={PUBLISHED['pysodmetrics']}"
    assert tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["dependency-groups"]["published"] == [wanted]
    assert wanted in (HERE.parents[1] / ".ci" / "run").read_text()


@pytest.mark.parametrize("name", CASES)
def test_each_picture_as_published(name):
    assert_equal(measured([CASES[name]]), percent(PUBLISHED["pictures"][name]))


def test_the_set_as_published():
    assert_equal(measured(CASES.values()), percent(PUBLISHED["set"]))
