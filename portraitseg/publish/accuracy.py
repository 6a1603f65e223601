"""How right an artifact is on pictures with masks: figures with their intervals, by subset, and where it fails."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.evaluate import evaluate
from portraitseg.metrics import METRICS, interval, ious
from portraitseg.publish.measured import Estimate, Subset
from portraitseg.runtime import Runtime

WORST = 5
"""Failure cases to name."""

Subsets = Mapping[str, Collection[str]]
"""Name -> names of its pictures."""
Numbers = NDArray[Any]


def read_subsets(path: Path, source: Source) -> dict[str, frozenset[str]]:
    """Read a CSV with the columns picture and subset, a line for each subset that a picture is in.

    Raises:
        InputError: the file cannot be read, lacks a column, or names a subset of which no picture is in `source`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["subset"], row["picture"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the subsets {path} ({error!r}); give a CSV with the columns picture and subset") from error
    here = {source.name(index) for index in range(len(source))}
    names = dict.fromkeys(subset for subset, _ in rows)
    found = {name: frozenset(picture for subset, picture in rows if subset == name) & here for name in names}
    if not all(found.values()) or not found:
        empty = ", ".join(name for name, pictures in found.items() if not pictures) or "any subset"
        raise InputError(f"{path} names no picture of --data for {empty}; its names are paths below the pictures' folder, without suffix")
    return found


def score(runtime: Runtime, source: Source, subsets: Subsets) -> dict[str, Any]:
    """The fields of `Measured` that are about accuracy, each picture predicted at its own size.

    Raises:
        InputError: no picture can be read, or the model gives NaN.
    """
    result = evaluate(runtime, source)
    counts, total = np.array(result.counts), len(result.rows)
    means = {name: np.array([[row[name]] for row in result.rows]) / total for name in ("mae", "boundary_f")}
    kinds = {name: [row["name"] in pictures for row in result.rows] for name, pictures in subsets.items()}
    return {
        "pictures": total,
        "miou": _estimate("miou", counts, _miou),
        "iou": _estimate("iou", counts, lambda sums: 100 * ious(sums)[0]),
        **{name: _estimate(name, rows, lambda sums: sums[..., 0]) for name, rows in means.items()},
        "subsets": {name: _subset(counts[chosen]) for name, chosen in kinds.items() if any(chosen)},
        "worst": {result.rows[row]["name"]: round(result.rows[row]["iou"], METRICS["iou"].decimals) for row in result.worst(WORST)},
    }


def _subset(counts: Numbers) -> Subset:
    return Subset(pictures=len(counts), miou=_estimate("miou", counts, _miou))


def _miou(sums: Numbers) -> Numbers:
    person, background = ious(sums)
    return 50 * (person + background)


def _estimate(name: str, rows: Numbers, figure: Any) -> Estimate:
    """A figure of the sums of `rows` (n,k), to the metric's decimals."""
    values = (float(figure(rows.sum(0))), *interval(rows, figure))
    return Estimate(**dict(zip(("value", "low", "high"), (round(value, METRICS[name].decimals) for value in values), strict=True)))
