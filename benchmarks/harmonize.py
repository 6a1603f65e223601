"""Which of the effects that fit a person to the scene come near the truth, and what each costs.

    python benchmarks/harmonize.py --data PORTRAITS/val --harmonizers models/harmonizer/*.tflite

The truth is a photograph; the composite is the same with another colouring of the person. Each picture is scored at its own size, as
blended by its mask: mean squared errors of bytes, of the whole and of the person, and the mean of the pictures' PSNR. Three kinds:

- recoloured: exposure, white balance, gamma, contrast and saturation, drawn as in training, with other seeds
- another's colours: the person gets the Lab statistics of another picture's person, a kind of change that no training saw
- untouched: the photograph itself, which the best effect would leave alone

Then what each effect takes on a frame of 1280x720 in memory, the best of many runs.
"""

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from tqdm import tqdm

from portraitseg import image as pictures
from portraitseg.compose import bokeh, colour_transfer, harmonize, seamless
from portraitseg.compose.blend import blend
from portraitseg.data.harmonization import Pair, make_pair
from portraitseg.data.sources import Source, find_source
from portraitseg.files import atomic
from portraitseg.image import UInt8
from portraitseg.live.harmonizer import FilterNet, open_harmonizer

RESULTS = Path(__file__).parent / "results"
SEED = 77
RUNS = 60
KINDS = ("recoloured", "another's colours", "untouched")
Adjust = Callable[[UInt8, UInt8, UInt8], UInt8]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    data: Path
    """Pictures with masks that no training saw."""
    harmonizers: tuple[Path, ...] = ()
    """Files of nets."""
    limit: int = 10_000
    """Use no more pictures than that."""
    table: Path = RESULTS / "harmonize.md"
    """Table to write; the numbers go beside it as .csv."""


def main(config: Config) -> int:
    """Score, measure, print and write."""
    source, _ = find_source(config.data)
    effects = _effects(config.harmonizers)
    rows = [row for kind in KINDS for row in _score(source, min(config.limit, len(source)), kind, effects)]
    times = _times(source, config.harmonizers)
    text = "\n".join([*_table(rows), "", f"1280x720, {cv2.getNumThreads()} threads, best of {RUNS}:", "", *_table(times)])
    print(text)
    with atomic(config.table) as temporary:
        temporary.write_text(text + "\n")
    with atomic(config.table.with_suffix(".csv")) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return 0


def _effects(harmonizers: tuple[Path, ...]) -> dict[str, Adjust]:
    def transfer(strength: float) -> Adjust:
        def adjust(image: UInt8, alpha: UInt8, background: UInt8) -> UInt8:
            person, scene = colour_transfer.statistics(image, alpha), colour_transfer.statistics(background, 255 - alpha)
            return colour_transfer.transfer(image, alpha, person, scene, strength=strength)

        return adjust

    nets = {path.stem: open_harmonizer(path, every=1, memory=0) for path in harmonizers}
    return {"none": lambda image, alpha, background: image, "colour transfer": transfer(1.0), "colour transfer 0.6": transfer(0.6), **nets}


def _score(source: Source, count: int, kind: str, effects: dict[str, Adjust]) -> list[dict[str, str | float]]:
    """One row an effect."""
    errors: dict[str, list[tuple[float, float]]] = {name: [] for name in effects}
    for pair in tqdm(_pairs(source, count, kind), total=count, desc=kind, unit="picture"):
        for name, adjust in effects.items():
            result = blend(adjust(pair.composite, pair.mask, pair.composite), pair.mask, pair.composite)
            squared = np.square(result.astype(np.float32) - pair.target).mean(axis=2)
            errors[name].append((float(squared.mean()), float(squared[pair.mask > 127].mean())))
    before = np.array(errors["none"])[:, 1]
    return [{"kind": kind, "effect": name, **_summary(np.array(found), before)} for name, found in errors.items()]


def _summary(errors: np.ndarray, before: np.ndarray) -> dict[str, float]:
    psnr = 10 * np.log10(255**2 / np.maximum(errors[:, 0], 0.01))
    return {
        "MSE": round(float(errors[:, 0].mean()), 1),
        "MSE of the person": round(float(errors[:, 1].mean()), 1),
        "PSNR": round(float(psnr.mean()), 2),
        "pictures made better, %": round(100 * float((errors[:, 1] < before).mean())),
    }


def _pairs(source: Source, count: int, kind: str) -> Iterator[Pair]:
    other = None
    for index in range(count):
        picture, mask = source.load(index)
        if (mask > 127).mean() < 0.01:
            continue
        if kind == "recoloured":
            yield make_pair(picture, mask, np.random.default_rng([SEED, index]))
        elif kind == "untouched":
            yield Pair(picture, mask, picture)
        else:
            person = colour_transfer.statistics(picture, mask)
            if other is not None:
                yield Pair(blend(colour_transfer.transfer(picture, mask, person, other), mask, picture), mask, picture)
            other = person


def _times(source: Source, harmonizers: tuple[Path, ...]) -> list[dict[str, str | float]]:
    picture, mask = source.load(0)
    size = (720, 1280)
    image, alpha = pictures.resize(picture, size), pictures.resize(mask, size)
    background = pictures.resize(source.load(1)[0], size)
    change = harmonize.colour_filter(np.full(harmonize.NUMBERS, 0.1, np.float32))
    calls: dict[str, Callable[[], object]] = {
        "background blur": lambda: bokeh.blur(image, alpha),
        "lens bokeh": lambda: bokeh.lens(image, alpha),
        "colour transfer": lambda: colour_transfer.ColourTransfer()(image, alpha, background),
        "seamless clone, membrane at 96": lambda: seamless.seamless(image, alpha, background),
        "harmonizer, a frame with the last filter": lambda: harmonize.filter_person(image, alpha, change),
    }
    for path in harmonizers:
        net = open_harmonizer(path, every=1, memory=0)
        calls[f"{path.stem}, a frame that it sees"] = lambda net=net: net(image, alpha, background)
        if isinstance(net, FilterNet):
            calls[f"{path.stem}, the net alone"] = lambda net=net: net.numbers(image, alpha, background)
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(RUNS):  # in turn, so that what disturbs the machine meets all of them
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    return [{"effect": name, "ms": round(1000 * seconds, 2)} for name, seconds in best.items()]


def _table(rows: list[dict[str, str | float]]) -> list[str]:
    cells = [[*rows[0]], ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in cells]


if __name__ == "__main__":
    cv2.setNumThreads(2)
    raise SystemExit(main(tyro.cli(Config, description=__doc__)))
