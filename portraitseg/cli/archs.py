"""List the architectures: parameters as trained and as shipped (batch norm folded), multiply-adds, default size, paper."""

from collections.abc import Iterator
from dataclasses import dataclass

from portraitseg.archs import ARCHS, ArchSpec, Published, build, new_card
from portraitseg.archs.summary import macs
from portraitseg.export.deploy import folded_params

COLUMNS = ("arch", "wm", "options", "size", "training", "folded", "published", "MMACs", "paper")


@dataclass(frozen=True, kw_only=True)
class Config:
    """No settings."""


def run(config: Config) -> int:
    """Print the table: one row for each published configuration, and the default where nothing was published."""
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for name, spec in ARCHS.items():
        for published in _variants(spec):
            rows.append(_row(name, spec, published, len(notes) + 1 if published.note else 0))
            notes += [published.note] if published.note else []
    widths = [max(len(row[i]) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS))]
    for row in [COLUMNS, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("\nfolded: parameters of the exported net; published: the same, counted in the original's file or code (- : none)")
    print("\n".join(f"[{number}] {note}" for number, note in enumerate(notes, 1)))
    return 0


def _variants(spec: ArchSpec) -> Iterator[Published]:
    yield from spec.published
    if not any(item.wm == spec.wm and item.classes == 1 for item in spec.published):
        yield Published(wm=spec.wm, folded=0)


def _row(name: str, spec: ArchSpec, published: Published, note: int) -> tuple[str, ...]:
    model = build(new_card(name, wm=published.wm, classes=published.classes, **published.options))
    options = [*published.options.values(), *([f"{published.classes} classes"] if published.classes > 1 else [])]
    count = f"{published.folded:,}" if published.folded else "-"
    return (
        name,
        f"{published.wm:g}",
        ", ".join(map(str, options)) or "-",
        str(spec.size),
        f"{model.count_params():,}",
        f"{folded_params(model):,}",
        count + (f" [{note}]" if note else ""),
        f"{macs(model) / 1e6:,.0f}",
        spec.paper,
    )
