"""What int8 costs: float, post-training and quantization-aware .tflite files of the same checkpoints, on validation pictures.

    python benchmarks/qat.py runs/munet_mnv3-portraits/best.h5 runs/slim_net-portraits/best.h5 --data PORTRAITS

Every file is made as a user would: `export.py` of the checkpoint, `train.py --qat` and `export.py` of what that leaves. What is there
already is not made again. Exits with 1 where an int8 file loses more than the bars allow, or is not whole.
"""

import csv
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from portraitseg.benchmark import Settings, accuracy
from portraitseg.card import Card, card_path
from portraitseg.data.sources import open_data
from portraitseg.export import tflite_report
from portraitseg.files import atomic

RESULTS = Path(__file__).parent / "results"
BARS = {"PTQ": 0.3, "QAT": 0.15}
"""Points of mIoU that a file may lose against the float one."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    checkpoints: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Float checkpoints (.h5); each run's folder names its row."""
    data: Path
    """Folder of pictures with masks, to train on and to score on."""
    flags: str = ""
    """Further flags of `train.py`: --flags="--qat-epochs 3 --batch 8"."""
    out: Path = Path("runs/qat")
    """Folder of what is made."""
    table: Path = RESULTS / "qat.md"
    """Table to write; the numbers go beside it as .csv."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file of one net."""

    net: str
    size: int
    file: str
    miou: float
    loss: float
    """Points of mIoU below the float file; negative: above."""
    kb: float
    float_tensors: int
    partitions: int | None

    @property
    def good(self) -> bool:
        """Whether the file is whole and within its bar."""
        return self.file == "float" or (self.loss <= BARS[self.file] and not self.float_tensors and self.partitions in (1, None))


def main(config: Config) -> int:
    """Make, score, print and write."""
    rows: list[Row] = []
    for checkpoint in config.checkpoints:
        rows += _compare(config, checkpoint)
        _write(config, rows)
    print("\n".join(_lines(rows)))
    return 0 if all(row.good for row in rows) else 1


def _compare(config: Config, checkpoint: Path) -> Iterator[Row]:
    folder = config.out / checkpoint.resolve().parent.name
    learned, data = folder / "learned", f"--data {shlex.quote(str(config.data))}"
    card = Card.load(card_path(checkpoint))
    files = {
        "float": _made(folder / "float", f"export.py {checkpoint} --quant fp32 {data}"),
        "PTQ": _made(folder / "ptq", f"export.py {checkpoint} --quant int8 --allow-drop 100 {data}"),
    }
    if not (learned / "sheet.png").exists():  # the last that a run leaves
        _run(f"train.py --qat {checkpoint} {data} --out {folder} --name learned --force {config.flags}")
    files["QAT"] = _made(folder / "qat", f"export.py {learned / 'best.h5'} --allow-drop 100 {data}")
    scores = accuracy(list(files.values()), open_data(config.data).val, Settings(), lambda plan: tqdm(plan, desc=folder.name))
    for (kind, path), score in zip(files.items(), scores, strict=True):
        report = tflite_report.inspect(path.read_bytes())
        yield Row(
            net=card.arch,
            size=card.size[0],
            file=kind,
            miou=round(score["miou"], 2),
            loss=round(scores[0]["miou"] - score["miou"], 2),
            kb=round(report.size / 1024, 1),
            float_tensors=len(report.float_tensors),
            partitions=report.partitions,
        )


def _made(folder: Path, command: str) -> Path:
    """The .tflite file in a folder, made by a command if it is not there."""
    if not list(folder.glob("*.tflite")):
        _run(f"{command} --out {folder}")
    return next(folder.glob("*.tflite"))


def _run(command: str) -> None:
    print(f"python {command}", flush=True)
    subprocess.run([sys.executable, *shlex.split(command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _lines(rows: list[Row]) -> list[str]:
    names = [field.name for field in fields(Row)]
    cells = [[*map(str, asdict(row).values()), "" if row.file == "float" else "yes" if row.good else "NO"] for row in rows]
    head = [*names, f"within {BARS['PTQ']} (PTQ), {BARS['QAT']} (QAT), whole"]
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *cells)]


def _write(config: Config, rows: list[Row]) -> None:
    with atomic(config.table) as temporary:
        temporary.write_text("\n".join(_lines(rows)) + "\n", encoding="utf-8")
    with atomic(config.table.with_suffix(".csv")) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(map(asdict, rows))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
