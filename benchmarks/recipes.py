"""What each loss and recipe brings: short trainings of one net on one set, same seed, same steps, one change each.

    python benchmarks/recipes.py --data PORTRAITS --teacher TEACHER.tflite --backgrounds SCENES

Every row is what a user would type: `train.py` with the flags of the row, then `eval.py` of its best checkpoint. Rows that are there
already are not trained again. The baseline is trained with three seeds: a difference below their spread says nothing.
"""

import csv
import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

RESULTS = Path(__file__).parent / "results"
METRICS = ("miou", "boundary_f", "mae")
BASE = "--loss bce=1,dice=0.5 --clip-norm 0"
"""Flags of every row, which a row's own come after: the defaults before these tables changed them."""

ROWS = {
    # losses
    "baseline: bce=1,dice=0.5": "",
    "the same, seed 1": "--seed 1",
    "the same, seed 2": "--seed 2",
    "bce": "--loss bce=1",
    "bce=1,iou=0.5,l1=0.5": "--loss bce=1,iou=0.5,l1=0.5",
    "dice": "--loss dice=1",
    "iou": "--loss iou=1",
    "focal": "--loss focal=1",
    "tversky": "--loss tversky=1",
    "bce=1,lovasz=0.5": "--loss bce=1,lovasz=0.5",
    "baseline + boundary_rmse": "--loss bce=1,dice=0.5,boundary_rmse=0.5",
    "baseline + detail": "--loss bce=1,dice=0.5,detail=0.5",
    "baseline + laplacian": "--loss bce=1,dice=0.5,laplacian=0.5",
    "consistency 2": "--consistency 2",
    # descent
    "adamw, decay 0.01": "--optimizer adamw --weight-decay 0.01",
    "sgd, lr 0.1": "--optimizer sgd --lr 0.1",
    "onecycle": "--schedule onecycle",
    "triangular2": "--schedule triangular2 --cycle-epochs 2",
    "constant": "--schedule constant",
    "constant, EMA 0.99": "--schedule constant --ema 0.99",
    "clip-norm 1": "--clip-norm 1",
    # pictures
    "augment none": "--augment none",
    "augment strong": "--augment strong",
    "composite 0.3": "--composite 0.3 --backgrounds {backgrounds}",
    "negatives 0.05": "--negatives 0.05 --backgrounds {backgrounds}",
    # teacher
    "distillation": "--teacher {teacher} --teacher-input-range 0..1",
    "distillation, boundary 4": "--teacher {teacher} --teacher-input-range 0..1 --distill-boundary 4",
}
"""Name -> flags beside the common ones."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    data: Path
    """Folder of portraits with masks, split into train/ and val/."""
    teacher: Path
    """A .tflite that takes pictures in [0,1]."""
    backgrounds: Path
    """Folder of scenes without people."""
    arch: str = "munet_mnv3_transition"
    size: int = 128
    """Side of the input: small, so that the table takes an hour and not a day."""
    epochs: int = 4
    out: Path = Path("runs/recipes")
    name: str = "recipes"
    """Of the table in results/."""
    rows: str = ""
    """Names of further rows, separated by semicolons, each NAME=FLAGS, in place of the table's own."""


def main(config: Config) -> None:
    """Train and score each row, and write the table after each."""
    rows = dict(part.split("=", 1) for part in config.rows.split(";")) if config.rows else ROWS
    table: list[dict[str, Any]] = []
    for number, (name, flags) in enumerate(rows.items()):
        folder = config.out / f"{config.arch}-{number:02d}"
        scores = _scores(config, folder, flags.format(teacher=config.teacher, backgrounds=config.backgrounds))
        first = table[0] if table else scores
        gain = round(scores["miou"] - first["miou"], 2)
        table.append({"recipe": name, **{key: scores[key] for key in METRICS}, "mIoU gain": gain, "flags": flags})
        print(table[-1], flush=True)
        _write(config, table)


def _scores(config: Config, folder: Path, flags: str) -> dict[str, float]:
    result = folder / "eval" / "metrics.json"
    if not result.exists():
        common = f"--arch {config.arch} --size {config.size} --epochs {config.epochs} --data {config.data} {BASE}"
        _run(f"train.py {common} --out {folder.parent} --name {folder.name} --force {flags}")
        _run(f"eval.py {folder / 'best.h5'} --out {folder / 'eval'} --worst 0")
    scores: dict[str, float] = json.loads(result.read_text())
    return scores


def _run(command: str) -> None:
    subprocess.run([sys.executable, *shlex.split(command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _write(config: Config, table: list[dict[str, Any]]) -> None:
    with (RESULTS / f"{config.name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    title = f"`{config.arch}` at {config.size} px, {config.epochs} epochs, made by `python benchmarks/recipes.py`.\n\n"
    head = "| recipe | mIoU | boundary F | MAE | mIoU gain |\n|---|---|---|---|---|\n"
    cells = "| {recipe} | {miou:.2f} | {boundary_f:.2f} | {mae:.4f} | {mIoU gain:+.2f} |"
    lines = [cells.format_map(row) for row in table]
    (RESULTS / f"{config.name}.md").write_text(title + head + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
