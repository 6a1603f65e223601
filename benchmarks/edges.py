"""Sharp edges and clean colours: what each way of bringing a prob to the picture's size gives and costs, and decontamination.

Three tables: the ways side by side on pictures with masks, for each model; the time of each part on a frame of 1280x720; the error of
composites of drawn portraits, whose true colours and alphas are known. A sheet of the edges before and after goes into --sheet.
OpenCV's own guided and joint bilateral filters take part where cv2 has the module ximgproc, pymatting where it is installed.
"""

import csv
import dataclasses
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from edges_peers import close_f, grey_guided, joint_bilateral, plain, ximgproc
from tqdm import tqdm

from portraitseg import sheet
from portraitseg.compose import blend
from portraitseg.compose.components import fill_holes, largest_component
from portraitseg.compose.compositor import Compositor, enlarge, levels
from portraitseg.compose.foreground import Decontaminator
from portraitseg.compose.refine import Refiner
from portraitseg.data.sources import Source, find_source
from portraitseg.data.synthetic import Synthetic
from portraitseg.device import device_name
from portraitseg.files import atomic
from portraitseg.image import Float32, UInt8, write
from portraitseg.metrics import Meter
from portraitseg.runtime import Runtime, foreign_card, has_card, open_artifact

FRAME = (720, 1280)
WARMUPS = 3
BEHIND = np.array([40, 150, 70], np.uint8)  # a green that no portrait has


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    models: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Artifacts."""
    data: Path
    """Pictures with masks to score on."""
    every: int = 1
    """Score on every n-th picture only: the joint bilateral filters take seconds a picture."""
    input_range: str = "0..1"
    """Of artifacts without a card."""
    threads: int = 2
    """Of OpenCV."""
    runs: int = 100
    """Measured calls of each part, in turn."""
    drawn: int = 24
    """Drawn portraits of 720x720 for the colours."""
    sheet: Path = Path("runs/edges.png")
    """Where to write the sheet."""
    out: Path = Path(__file__).parent / "results" / "edges.md"
    """Tables to write; the scores go beside them as .csv."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One way of bringing one model's probs to the pictures' size."""

    model: str
    way: str
    miou: float
    mae: float
    boundary_f: float
    boundary_f_1px: float


Way = Callable[[UInt8, Float32], UInt8]
"""(image (H,W,3), prob (h,w)) -> prob (H,W) as bytes."""


def main() -> None:
    """Score, measure, write."""
    config = tyro.cli(Config, description=__doc__)
    cv2.setNumThreads(config.threads)
    source, _ = find_source(config.data)
    ways = {"bilinear": plain, "guided, colour (ours)": Refiner(), "guided, grey": grey_guided, "joint bilateral": joint_bilateral}
    ways |= ximgproc()
    scores: list[Score] = []
    for path in config.models:
        card = None if has_card(path) else foreign_card(path, input_range=config.input_range)
        runtime = open_artifact(path, threads=config.threads, card=card)
        scores += _score(path.stem, runtime, source, ways, config.every)
    write(config.sheet, _sheet(runtime, source), force=True)
    tables = [_table(scores), _table(_times(runtime, source, ways, config.runs)), _table(_colours(config.drawn))]
    _write(config, scores, tables, -(-len(source) // config.every))
    print("\n\n".join(tables))


def _score(model: str, runtime: Runtime, source: Source, ways: Mapping[str, Way], every: int) -> list[Score]:
    """Alphas as the demo makes them, scored as probs; each way's output goes through the default levels."""
    meters, close, table = {way: Meter() for way in ways}, {way: [] for way in ways}, levels()
    for index in tqdm(range(0, len(source), every), desc=model, unit="picture"):
        image, mask = source.load(index)
        prob = runtime(image)
        for way, run in ways.items():
            alpha = cv2.LUT(run(image, prob), table)
            meters[way].add(source.name(index), alpha.astype(np.float32) / 255, mask)
            close[way].append(close_f(alpha > 127, mask > 127))
    lines = []
    for way, meter in meters.items():
        found = meter.summary()
        figures = {key: round(found[key], 4 if key == "mae" else 2) for key in ("miou", "mae", "boundary_f")}
        lines.append(Score(model=model, way=way, **figures, boundary_f_1px=round(100 * statistics.mean(close[way]), 2)))
    return lines


def _frame(runtime: Runtime, source: Source) -> tuple[UInt8, Float32]:
    """A picture of the set that covers a frame, and its prob."""
    image = blend.cover(source.load(0)[0], FRAME)
    return image, runtime(image)


def _times(runtime: Runtime, source: Source, ways: Mapping[str, Way], runs: int) -> list[dict[str, Any]]:
    """Milliseconds of each part on a frame, all in turn."""
    image, prob = _frame(runtime, source)
    background, table = blend.cover(source.load(1)[0], FRAME), levels()
    found, soft, hard, out = np.empty(FRAME, np.uint8), np.empty(FRAME, np.uint8), np.empty(FRAME, np.uint8), np.empty_like(image)
    cv2.LUT(Refiner()(image, prob), table, dst=soft)
    compositor, decontaminator, refiner = Compositor(), Decontaminator(), Refiner()

    def whole(refine: bool) -> None:
        cv2.resize(image, prob.shape[::-1])  # what the net is fed
        at_size = refiner(image, prob, found) if refine else enlarge(prob, FRAME, found)
        compositor(image, cv2.LUT(at_size, table, dst=hard), background, out)

    parts: dict[str, Callable[[], object]] = {
        "everything but the net, plain": lambda: whole(False),
        "everything but the net, refined": lambda: whole(True),
        "enlarge": lambda: enlarge(prob, FRAME, found),
        "levels": lambda: cv2.LUT(found, table, dst=hard),
        "composite, band of blocks (ours)": lambda: compositor(image, soft, background, out),
        "composite, whole frame (blend.blend)": lambda: blend.blend(image, soft, background),
        "decontaminate": lambda: decontaminator(image, soft, out),
        "largest component": lambda: largest_component(prob),
        "fill holes": lambda: fill_holes(prob),
    }
    parts |= {f"edges: {way}": lambda run=run: run(image, prob) for way, run in ways.items()}
    return [{"part, 1280x720": name, **ms} for name, ms in _measure(parts, runs)]


def _measure(parts: Mapping[str, Callable[[], object]], runs: int) -> Iterator[tuple[str, dict[str, float]]]:
    took: dict[str, list[float]] = {name: [] for name in parts}
    for turn in tqdm(range(WARMUPS + runs), desc="timing", unit="turn"):
        for name, run in parts.items():
            if len(took[name]) >= 3 and min(took[name]) > 100:
                continue  # what takes so long needs no more turns
            start = time.perf_counter()
            run()
            if turn >= WARMUPS:
                took[name].append(1e3 * (time.perf_counter() - start))
    for name, times in took.items():
        p10, p50, p90 = (round(float(value), 2) for value in np.percentile(times, [10, 50, 90]))
        yield name, {"p10 ms": p10, "p50 ms": p50, "p90 ms": p90, "runs": len(times)}


def _colours(count: int) -> list[dict[str, Any]]:
    """Mean error, of 255, of composites over another background, in the soft edge; the cut is by the true alpha and by a blurred one."""
    ways: dict[str, Callable[[UInt8, UInt8], UInt8]] = {
        "colours as they are": lambda image, alpha: image,
        "decontaminated (ours)": Decontaminator(),
    }
    if importlib.util.find_spec("pymatting"):
        from pymatting import estimate_foreground_ml

        ways["pymatting, multi-level (Germer 2020)"] = lambda image, alpha: 255 * estimate_foreground_ml(image / 255, alpha / 255)
    source = Synthetic(count, seed=5, size=720)
    errors: dict[str, list[list[float]]] = {way: [] for way in ways}
    for index in tqdm(range(count), desc="colours", unit="picture"):
        layers, other = source.layers(index), source.layers((index + 1) % count).background.transpose(1, 2, 0)
        image = np.clip(np.rint(layers.composed()), 0, 255).astype(np.uint8).transpose(1, 2, 0).copy()
        truth = layers.figure.transpose(1, 2, 0) + (1 - layers.alpha[..., None]) * other
        alpha = np.rint(255 * layers.alpha).astype(np.uint8)
        band = cv2.dilate(((alpha > 0) & (alpha < 255)).view(np.uint8), np.ones((5, 5), np.uint8)) > 0
        for way, run in ways.items():
            row = []
            for cut in (alpha, cv2.GaussianBlur(alpha, (0, 0), 2.5)):
                share = cut[..., None] / 255
                row.append(np.abs(share * run(image, cut) + (1 - share) * other - truth)[band].mean())
            errors[way].append(row)
    means = {way: np.mean(rows, axis=0).round(2).tolist() for way, rows in errors.items()}
    return [{"colours": way, "error, true alpha": true, "error, blurred alpha": blurred} for way, (true, blurred) in means.items()]


def _sheet(runtime: Runtime, source: Source, rows: int = 6) -> UInt8:
    """Heads cut out of pictures spread over the set: bilinear, refined, refined and decontaminated, and by the mask."""
    refiner, decontaminator, table, cells = Refiner(), Decontaminator(), levels(), []
    for index in range(0, len(source), max(1, len(source) // rows)):
        image, mask = source.load(index)
        prob = runtime(image)
        before, after = cv2.LUT(plain(image, prob), table), cv2.LUT(refiner(image, prob), table)
        pairs = ((image, before), (image, after), (decontaminator(image, after), after), (image, mask))
        pictures = [image, *(blend.blend(front, alpha, BEHIND) for front, alpha in pairs)]
        part = _head(mask)
        cells += [cv2.resize(picture[part], (300, 300), interpolation=cv2.INTER_CUBIC) for picture in pictures]
    labels = ["picture", "bilinear", "refined", "refined, decontaminated", "by the mask"] * (len(cells) // 5)
    return sheet.grid(cells, 5, labels)


def _head(mask: UInt8) -> tuple[slice, slice]:
    """A square about the top of the person, half as wide as the picture."""
    side = min(*mask.shape, max(mask.shape) // 2)
    rows = np.flatnonzero(mask.max(axis=1) > 127)
    top = min(max(0, (int(rows[0]) if rows.size else 0) - side // 8), mask.shape[0] - side)
    columns = np.flatnonzero(mask[top : top + side // 2].max(axis=0) > 127)
    left = min(max(0, (int(columns.mean()) if columns.size else 0) - side // 2), mask.shape[1] - side)
    return slice(top, top + side), slice(left, left + side)


def _table(lines: Iterable[Any]) -> str:
    rows = [line if isinstance(line, dict) else dataclasses.asdict(line) for line in lines]
    heads = list(rows[0])
    text = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join(text + [f"| {' | '.join(str(row[head]) for head in heads)} |" for row in rows])


def _write(config: Config, scores: list[Score], tables: list[str], count: int) -> None:
    names = " and ".join(path.stem for path in config.models)
    intro = [
        "# Edges",
        "",
        "Made by `python benchmarks/edges.py MODEL ... --data PICTURES` with",
        f"{names} and {count} pictures.",
        f"Device: {device_name()}, {config.threads} threads, OpenCV {cv2.__version__};",
        f"{WARMUPS} warm-ups and up to {config.runs} turns in which",
        "the parts alternate. What the columns mean stands in [docs/edges.md](../../docs/edges.md).",
    ]
    with atomic(config.out) as temporary:
        temporary.write_text("\n".join([*intro, "", "\n\n".join(tables), ""]), encoding="utf-8")
    with atomic(config.out.with_suffix(".csv")) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Score)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(score) for score in scores)


if __name__ == "__main__":
    main()
