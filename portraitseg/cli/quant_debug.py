"""Find the layers that int8 spoils: each layer's error against float on real pictures, a plot, and the five worst.

The worst can be left float: `export.py CHECKPOINT --keep-float LAYER...`, which measures what that costs.
"""

import csv
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tqdm import tqdm

from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.files import atomic, refuse_existing
from portraitseg.optional import require
from portraitseg.quiet import load_tensorflow, quiet

if TYPE_CHECKING:
    from portraitseg.quantization.debugger import LayerError

WORST = 5
MOST = 70
"""dB where the plot ends; layers that only move numbers are without error."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to compare."""

    floating: Annotated[Path, tyro.conf.Positional]
    """The checkpoint (.h5) or the float .tflite file that the int8 file was made from."""
    quantized: Annotated[Path, tyro.conf.Positional]
    """The int8 .tflite file."""
    data: Path
    """Folder, CSV or shards of pictures with masks; its validation part is used, if it has one."""
    pictures: int = 16
    """Pictures to compare on, drawn so that they cover the set."""
    seed: int = 0
    """Seed of the draw."""
    input_range: str = ""
    """For files without a card: what 0 to 255 is scaled to, one of 0..1, -1..1, 0..255 and imagenet."""
    out: Path = Path("quant-debug.png")
    """Plot to write; every layer's figures go beside it as .csv."""
    force: bool = False
    """Overwrite the plot and the figures if they exist."""


def run(config: Config) -> int:
    """Compare, print the worst, plot.

    Raises:
        InputError: something given cannot be used.
    """
    _check(config)
    load_tensorflow()
    from portraitseg.data.sources import find_source
    from portraitseg.quantization import debugger
    from portraitseg.quantization.calibration import draw

    content = config.quantized.read_bytes()
    floating, cards = _floating(config, content)
    source, lines = find_source(config.data)
    print("\n".join(lines))
    indices = draw(len(source), config.pictures, seed=config.seed)
    with quiet() as terminal:
        errors = debugger.compare(floating, content, _inputs(source, tqdm(indices, unit="picture", file=terminal), cards))
    print(f"\n{len(errors)} layers compared on {len(indices)} pictures; the worst by themselves:\n")
    print(table(debugger.worst(errors, WORST)))
    _write(config.out.with_suffix(".csv"), errors)
    plot(errors, debugger.worst(errors, WORST), config.out)
    print(f"\nplot    {config.out}\nfigures {config.out.with_suffix('.csv')}")
    names = " ".join(error.layer for error in debugger.worst(errors[1:], 2))  # the first takes the picture's bytes, so it cannot
    origin = config.floating if config.floating.suffix == ".h5" else "CHECKPOINT"
    print(f"remedy  export.py {origin} --keep-float {names}: leaves these layers float, and prints what that costs")
    return 0


def table(errors: "Sequence[LayerError]") -> str:
    """The layers for a person."""
    width = max((len(error.layer) for error in errors), default=0)
    lines = [f"{'layer':<{width}}  {'operator':<18}  SQNR by itself, dB  with all before, dB   cosine"]
    lines += [f"{e.layer:<{width}}  {e.kind:<18}  {e.own:>18.1f}  {e.sqnr:>19.1f}  {e.cosine:>7.4f}" for e in errors]
    return "\n".join(lines)


def plot(errors: "Sequence[LayerError]", worst: "Sequence[LayerError]", path: Path) -> None:
    """SQNR layer by layer, in the order in which they run, the worst marked.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(max(8, 0.16 * len(errors)), 6), layout="constrained")
    axes: Any = figure.add_subplot()
    axes.plot([error.sqnr for error in errors], marker=".", color="tab:blue", label="with all that went wrong before")
    axes.plot([error.own for error in errors], marker=".", color="tab:grey", label="the layer by itself")
    places = [number for number, error in enumerate(errors) if error in worst]
    axes.plot(places, [errors[number].own for number in places], "o", color="tab:red", label=f"the {len(places)} worst")
    axes.set_xticks(range(len(errors)), [error.layer for error in errors], rotation=90, fontsize=6)
    for number in places:
        axes.get_xticklabels()[number].set_color("tab:red")
    axes.set_ylabel("SQNR of int8 against float (dB)")
    axes.set_ylim(top=MOST)
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _check(config: Config) -> None:
    refuse_existing(config.out, force=config.force)
    refuse_existing(config.out.with_suffix(".csv"), force=config.force)
    if config.out.suffix.lower() != ".png":
        raise InputError(f"the plot is written as .png, got {config.out}; rename it")
    if config.pictures < 1:
        raise InputError(f"--pictures must be at least 1, got {config.pictures}; the default is 16")
    if config.floating.suffix not in (".h5", ".tflite"):
        raise InputError(f"the first file must be a checkpoint (.h5) or a float .tflite file, got {config.floating}")
    if config.quantized.suffix != ".tflite":
        raise InputError(f"the second file must be an int8 .tflite file, got {config.quantized}; export.py makes one")
    for path in (config.floating, config.quantized):
        if not path.is_file():
            raise InputError(f"no file {path}; give a checkpoint or float .tflite file, and its int8 file")


def _floating(config: Config, content: bytes) -> tuple[bytes, tuple[Card, Card]]:
    """The float file, and how a picture is prepared for it and for the int8 file."""
    from portraitseg.quantization.post_training import equalise
    from portraitseg.runtime import cards

    card = _card(config.quantized, config.input_range)
    if config.floating.suffix == ".tflite" and not cards.inside(config.floating):  # of another project
        found, own = config.floating.read_bytes(), _card(config.floating, config.input_range)
    else:
        found, own = max(_forms(config.floating, card), key=lambda form: _common(form[0], content))
    return equalise.like(found, content) if card.calibration.get("equalise") else found, (own, card)


def _card(path: Path, input_range: str) -> Card:
    from portraitseg.runtime import foreign_card, open_artifact

    return open_artifact(path, card=foreign_card(path, input_range=input_range) if input_range else None).card


def _forms(path: Path, card: Card) -> Iterator[tuple[bytes, Card]]:
    """The float file of a checkpoint, or of another float file, in each form that an int8 file's deploy graph can have, and its card."""
    from portraitseg import checkpoint
    from portraitseg.export import tflite
    from portraitseg.rewrite import deploy, int8_graph, int8_input
    from portraitseg.training import start

    model, trained = checkpoint.load(path) if path.suffix == ".h5" else start.trained(path)
    for rewrite in (True, False):
        graph, own = deploy.to_deploy(model, trained, rewrite=rewrite)
        graph = int8_graph.to_int8_graph(graph) if rewrite else graph
        graph, own = (graph, own) if card.io == "float32" else int8_input.to_byte_input(graph, own)
        yield tflite.convert(graph, "fp32"), own


def _common(floating: bytes, quantized: bytes) -> int:
    """Layers in common."""
    from portraitseg.quantization import debugger
    from portraitseg.quantization.post_training.statistics import open_preserving
    from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph

    return len(debugger.matches(TFLiteGraph(floating), open_preserving(quantized)))


def _inputs(source: Any, indices: Any, cards: tuple[Card, Card]) -> Iterator[tuple[Any, Any]]:
    from portraitseg.image import to_input

    for index in indices:
        picture, _ = source.load(index)
        yield to_input(picture, cards[0])[None], to_input(picture, cards[1])[None]


def _write(path: Path, errors: "Sequence[LayerError]") -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["layer", "kind", "sqnr", "cosine", "own"])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(error) for error in errors)
