"""List the architectures, or show one: its stages as a table and, on request, as a drawing.

Without a name: a row for each published configuration and each default, with the parameters while training (and how many of them are
trained) and folded (batch norm merged, training-only heads dropped), and its multiply-adds. With a name: the net that
ships, stage by stage.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.quiet import load_tensorflow
from portraitseg.training.settings.net import NetVariant

if TYPE_CHECKING:
    import tf_keras as keras

    from portraitseg.archs import ArchSpec, Published
    from portraitseg.archs.summary import Stage

LIST = ("arch", "wm", "size", "options", "training", "trainable", "folded", "MMACs")
TABLE = ("stage", "size", "channels", "layers", "skips", "params", "MMACs")
COUNT = len("44,009,869=")
NUMBERS = {"training", "trainable", "folded", "channels", "params", "MMACs"}


@dataclass(frozen=True, kw_only=True)
class Config(NetVariant):
    """Settings of `portraitseg archs`."""

    arch: Annotated[str, tyro.conf.Positional] = ""
    """The net to show; all are listed if it is left out."""
    diagram: Path | None = None
    """Draw the stages too: a file that ends in .png, or in .mmd for Mermaid text."""
    force: bool = False
    """Overwrite an existing diagram."""


def run(config: Config) -> int:
    """Print the list, or one net's stages.

    Raises:
        InputError: something given cannot be used.
    """
    if not config.arch and config != Config():
        raise InputError("the settings are for one net; name it: portraitseg archs NAME ...; without any, all are listed")
    load_tensorflow()
    return _show(config) if config.arch else _list()


def _list() -> int:
    """One row for each published configuration, and the default where that is none of them, as soon as it is counted.

    Then each arch's paper and options.
    """
    from tqdm import tqdm

    from portraitseg.archs import ARCHS

    variants = [(name, item) for name, spec in ARCHS.items() for item in _variants(spec)]
    notes = list(dict.fromkeys(item.note for _, item in variants if item.note))
    blank = [(*_label(name, item, notes), *(" " * COUNT for _ in LIST[4:])) for name, item in variants]  # as wide as the rows will be
    with tqdm(total=len(variants), unit="net", desc="counting", leave=False, file=sys.stderr) as bar:
        tqdm.write(_aligned(LIST, blank)[0])
        for name, item in variants:
            tqdm.write(_aligned(LIST, [*blank, (*_label(name, item, notes), *_counts(name, item))])[-1])
            bar.update()
    print("\n=: the original's count; folded: batch norm folded, training-only heads dropped; MMACs: million multiply-adds of that net")
    print("\n".join(f"[{number}] {note}" for number, note in enumerate(notes, 1)))
    print("\n" + "\n".join(_aligned(("arch", "paper", "options, the default first"), [_described(*item) for item in ARCHS.items()])))
    return 0


def _variants(spec: "ArchSpec") -> "Iterator[Published]":
    from portraitseg.archs import Published

    yield from spec.published
    if not any(item.wm == spec.wm and item.classes == 1 for item in spec.published):
        yield Published(wm=spec.wm)


def _label(name: str, item: "Published", notes: Sequence[str]) -> tuple[str, ...]:
    from portraitseg.archs import find

    options = [*map(str, item.options.values())]
    options += [
        f"{count} {what}" for count, what, usual in ((item.channels, "channels", 3), (item.classes, "classes", 1)) if count != usual
    ]
    note = f" [{notes.index(item.note) + 1}]" if item.note else ""
    return name + note, f"{item.wm:g}", str(item.size or find(name).size), ", ".join(options) or "-"


def _counts(name: str, item: "Published") -> tuple[str, ...]:
    from portraitseg import archs
    from portraitseg.archs.summary import macs
    from portraitseg.rewrite.deploy import folded_params

    model = archs.build(archs.new_card(name, wm=item.wm, size=item.size, channels=item.channels, classes=item.classes, **item.options))
    return (
        _count(model.count_params(), item.training),
        _count(_trainable(model), item.trainable),
        _count(folded_params(model), item.folded),
        f"{macs(model) / 1e6:,.0f}",
    )


def _described(name: str, spec: "ArchSpec") -> tuple[str, ...]:
    """Its paper and options; of a long list of values the first alone."""
    few = {option: values if len(values) < 5 else (values[0], "...") for option, values in spec.options.items()}
    return name, spec.paper, _options(few)


def _count(value: int, published: int | None) -> str:
    return f"{value:,}{'=' if value == published else ' '}"


def _trainable(model: "keras.Model") -> int:
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)


def _options(options: Mapping[str, Sequence[str]]) -> str:
    return "  ".join(f"--{name} {'|'.join(values)}" for name, values in options.items()) or "-"


def _show(config: Config) -> int:
    """The net's stages, and the diagram if it is wanted."""
    from portraitseg import archs
    from portraitseg.archs import diagram, summary
    from portraitseg.rewrite.deploy import folded_by_layer

    if config.diagram is not None:
        diagram.check(config.diagram, force=config.force)
    shape: dict[str, Any] = {"wm": config.wm, "size": config.size, "channels": config.channels, "classes": config.classes}
    card = archs.new_card(config.arch, **shape, **config.options)
    model = archs.build(card)
    stages = summary.stages(model, folded_by_layer(model))
    print("\n".join(_head(card, archs.find(card.arch))) + "\n")
    print("\n".join(_aligned(TABLE, [*_stage_rows(stages), _total(stages)])))
    print("\n" + "\n".join(_foot(model)))
    if config.diagram is not None:
        diagram.write(config.diagram, stages, card.name, force=config.force)
        print(f"wrote {config.diagram}")
    return 0


def _head(card: Card, spec: "ArchSpec") -> Iterator[str]:
    height, width = card.size
    chosen = ", ".join(f"{name} {value}" for name, value in card.options.items())
    yield f"{card.arch}, wm {card.wm:g}{', ' if chosen else ''}{chosen}"
    mean, std = (" ".join(f"{value:g}" for value in _short(values)) for values in (card.input.mean, card.input.std))
    yield f"input    {height}x{width}x{card.channels}, {card.input.order.upper()}, (byte - {mean}) / {std}"
    yield f"output   {height}x{width}x{card.classes} logits"
    yield f"options  {_options(spec.options)}"
    yield f"paper    {spec.paper}"


def _short(values: Sequence[float]) -> Sequence[float]:
    """One for all, where all are the same."""
    return values[:1] if len(set(values)) == 1 else values


def _stage_rows(stages: "Sequence[Stage]") -> Iterator[tuple[str, ...]]:
    for number, stage in enumerate(stages):
        before = stages[number - 1].name
        skips = ", ".join(f"{source.stage} ({source.channels})" for source in stage.sources if source.stage != before)
        size = f"{stage.size[0]}x{stage.size[1]}"
        counts = (f"{stage.params:,}", f"{stage.macs / 1e6:,.1f}") if stage.sources else ("", "")
        yield (stage.name, size, str(stage.channels), ", ".join(stage.ops), skips, *counts)


def _total(stages: "Sequence[Stage]") -> tuple[str, ...]:
    params, macs = sum(stage.params for stage in stages), sum(stage.macs for stage in stages)
    return ("total", "", "", "", "", f"{params:,}", f"{macs / 1e6:,.1f}")


def _foot(model: "keras.Model") -> Iterator[str]:
    yield "params: batch norm folded; /2: stride, d: dilation, g: groups, dw: depthwise, deconv: transposed"
    yield f"while training: {model.count_params():,} parameters, {_trainable(model):,} of them trainable"
    if len(model.outputs) > 1:
        yield f"outputs for training alone: {', '.join(model.output_names[1:])}"


def _aligned(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of columns, numbers to the right; columns that are empty throughout are left out."""
    table = [heads, *rows]
    columns = [column for column in zip(*table, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = (
        (
            cell.rjust(width) if column[0] in NUMBERS else cell.ljust(width)
            for cell, column, width in zip(line, columns, widths, strict=True)
        )
        for line in zip(*columns, strict=True)
    )
    return ["  ".join(line).rstrip() for line in lines]
