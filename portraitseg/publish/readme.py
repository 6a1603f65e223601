"""The part of a folder's README that is made from the cards: two tables and two pictures."""

from collections.abc import Sequence
from pathlib import Path

from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.metrics.bootstrap import RESAMPLES
from portraitseg.publish.folder import Model, Published
from portraitseg.publish.measured import Estimate, Latency, Measured
from portraitseg.publish.plots import ACCURACY, SUBSETS

BEGIN = "<!-- from the cards, by portraitseg benchmark --publish; what is written here is lost -->"
END = "<!-- end of what is from the cards -->"
HEADS = ("file", "quant", "KB", "mIoU", "IoU of the person", "MAE", "boundary F", "ms, 1 thread", "ms, 2 threads", "hours")


def check(path: Path) -> None:
    """See that `write` will find its place.

    Raises:
        InputError: the markers are missing, or the README cannot be read.
    """
    insert(_read(path), "", str(path))


def write(published: Published, path: Path) -> None:
    """Put the tables and pictures between the README's markers; a README that is missing is made.

    Raises:
        InputError: as `check`.
    """
    content = insert(_read(path), text(published), str(path))
    with atomic(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else f"# Models\n\n{BEGIN}\n{END}\n"
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; mend it, or move it away to have a new one") from error


def insert(readme: str, made: str, name: str) -> str:
    """A README with `made` between its markers.

    Raises:
        InputError: one is missing, or stands there more than once.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end) or BEGIN in tail or END in tail:
        raise InputError(f"{name} needs two lines, once each, between which the tables go; write:\n{BEGIN}\n{END}")
    return f"{head}{BEGIN}\n\n{made}\n\n{END}{tail}"


def text(published: Published) -> str:
    """What stands between the markers."""
    parts = [_introduction(published), _table(HEADS, [*map(_row, published.models), *_peer_rows(published)])]
    parts += [f"![mIoU against milliseconds]({ACCURACY})"]
    if subsets := list(published.models[0].measured.subsets):
        parts += ["mIoU by subset, with the number of pictures; one picture can be in several:", _subset_table(published, subsets)]
        parts += [f"![mIoU by subset]({SUBSETS})"]
    return "\n\n".join(parts)


def _introduction(published: Published) -> str:
    first = published.models[0].measured
    row: Latency = first.latency[0]
    libraries = sorted({row.runtime for model in published.models for row in model.measured.latency})
    return "\n".join(
        [
            f"Measured on the {first.pictures} pictures of {first.data}, each at its own size: mIoU, IoU and boundary F in percent, MAE",
            f"in [0,1]. In brackets the 95 % interval of {RESAMPLES:,} bootstrap resamples of the pictures. Milliseconds: median of",
            f"{row.runs} runs of the net alone, all files in turns in one run, {row.device}, {', '.join(libraries)}. Hours: of training.",
        ]
    )


def _row(model: Model) -> list[str]:
    hours = model.card.made.get("hours")
    return [f"`{model.path.name}`", model.card.quant, *_figures(model.measured), "-" if hours is None else f"{hours:.1f}"]


def _peer_rows(published: Published) -> list[list[str]]:
    return [[f"{name}, of others", "-", *_figures(item), "-"] for name, item in published.peers.items()]


def _figures(item: Measured) -> list[str]:
    accuracy = [_interval(item.miou), f"{item.iou.value:.2f}", f"{item.mae.value:.4f}", f"{item.boundary_f.value:.2f}"]
    return [f"{item.bytes / 1000:,.0f}", *accuracy, *(f"{item.ms(threads):.1f}" for threads in (1, 2))]


def _subset_table(published: Published, subsets: Sequence[str]) -> str:
    counts = published.models[0].measured.subsets
    heads = ["file", *(f"{name.replace('_', ' ')} ({counts[name].pictures})" for name in subsets)]
    named = {f"`{model.path.name}`": model.measured for model in published.models}
    named |= {f"{name}, of others": item for name, item in published.peers.items()}
    return _table(heads, [[name, *(_interval(item.subsets[subset].miou) for subset in subsets)] for name, item in named.items()])


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
