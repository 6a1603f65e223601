"""What each delegate takes of each architecture: the table of docs/delegates.md, which this script writes there.

Weights are random, with the ranges of trained ones; which operations a file has does not depend on more. The files are those of
`export.py`: fp16 for the GPU, int8 with bytes in and out for the others, with `--target edgetpu` for the Edge TPU.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from int8_speed import parse, settle
from tqdm import tqdm

from portraitseg.errors import InputError
from portraitseg.export import delegates
from portraitseg.export.delegates.graph import read
from portraitseg.export.delegates.report import Report
from portraitseg.files import atomic
from portraitseg.quiet import load_tensorflow

DOCS = Path(__file__).parents[1] / "docs" / "delegates.md"
START, END = "<!-- python benchmarks/delegates_table.py -->\n", "<!-- end -->\n"
FILES = {"xnnpack": "int8", "gpu": "fp16", "nnapi": "int8", "qnn": "int8", "hexagon": "int8", "edgetpu": "edgetpu"}
HEADS = ("net", "size", "XNNPACK, int8", "GPU, fp16", "NNAPI, int8", "QNN, int8", "Hexagon, int8", "Edge TPU")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the table."""

    nets: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Archs, with options if wished: munet:encoder=mobilenet_v2 (default: all archs)."""
    size: int | None = None
    """Height and width of the input in pixels (default: each arch's own)."""
    pictures: int = 1
    """Drawn portraits to calibrate on."""
    write: bool = False
    """Also write each row into the table of docs/delegates.md, in the place of the one that is there."""


def main() -> None:
    """Convert, judge, print, write."""
    config = tyro.cli(Config, description=__doc__)
    load_tensorflow()
    from portraitseg.archs import ARCHS

    for net in tqdm(config.nets or tuple(ARCHS), desc="converting", unit="net"):
        row = _row(net, config)
        tqdm.write(row)
        if config.write:  # after each net: a long run that is stopped leaves what it has
            _insert(row, list(ARCHS))
        gc.collect()


def _row(net: str, config: Config) -> str:
    card = parse(net, config.size)
    contents = dict(_files(card, config.pictures))
    cells = [_cell(name, contents[quant]) for name, quant in FILES.items()]
    return f"| `{net}` | {card.size[0]} | {' | '.join(cells)} |"


def _files(card: Any, pictures: int) -> Iterator[tuple[str, bytes | str]]:
    """Yield "fp16", "int8" and "edgetpu", each with the file's content or why there is none."""
    import tf_keras as keras

    from portraitseg import archs
    from portraitseg.data.sources import open_data
    from portraitseg.export import edgetpu, tflite
    from portraitseg.quantization.calibration import CalibrationSet
    from portraitseg.rewrite import deploy, edgetpu_graph, int8_graph, int8_input

    keras.utils.set_random_seed(0)
    source = open_data(None, size=max(card.size)).train
    model = settle(archs.build(card), next(iter(CalibrationSet(source=source, indices=[0], card=card))))

    def int8(graph: Any, card: Any) -> bytes:
        graph, card = int8_input.to_byte_input(graph, card)
        return tflite.convert(graph, "int8", calibration=CalibrationSet(source=source, indices=range(pictures), card=card))

    graph, made = deploy.to_deploy(model, card)
    yield "fp16", tflite.convert(graph, "fp16")
    yield "int8", int8(int8_graph.to_int8_graph(graph), made)
    plain, made = deploy.to_deploy(model, card, rewrite=False)
    yield "edgetpu", _or_why(lambda: edgetpu.part_activations(int8(edgetpu_graph.to_edgetpu_graph(plain), made), card.arch))


def _or_why(make: Callable[[], bytes]) -> bytes | str:
    try:
        return make()
    except InputError as error:
        return f"refused: {str(error).split(';')[0]}"


def _cell(name: str, content: bytes | str) -> str:
    if isinstance(content, str):
        return content
    report = delegates.examine(name, read(content, name))
    text = f"all {len(report.ops)}" if report.whole else f"{len(report.taken)} of {len(report.ops)} in {report.cut} parts"
    left = _counts(report, {index for index in report.left if index not in report.ends})
    unknown = _counts(report, set(report.unknown))
    return text + (f", not {left}" if left else "") + (f", unknown: {unknown}" if unknown else "")


def _counts(report: Report, indices: set[int]) -> str:
    found = Counter(op.name for op in report.ops if op.index in indices)
    return ", ".join(f"{count} {name}" for name, count in found.most_common())


def _insert(row: str, order: list[str]) -> None:
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(START)
    old, _, after = rest.partition(END)
    rows = {_net(line): line for line in [*old.splitlines(), row] if line.startswith("| `")}
    known = sorted(rows, key=lambda net: (order.index(net.partition(":")[0]), net))
    table = "\n".join([f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS), *(rows[net] for net in known)])
    with atomic(DOCS) as temporary:
        temporary.write_text(f"{before}{START}\n{table}\n\n{END}{after}", encoding="utf-8")


def _net(row: str) -> str:
    return row.split("`")[1]


if __name__ == "__main__":
    main()
