"""Float against int8, every architecture, in one run: milliseconds, their ratio, and in how many parts XNNPACK runs the int8 file.

Weights and batch-norm statistics are random, each convolution scaled so that what it gives on a picture has mean 0 and standard
deviation 1: the ranges are those of a trained net, and the time does not depend on more. The float file is the deploy graph, the int8
file that graph in the form of `int8_graph`, with int8 in and out. Accuracy is not looked at.
"""

import csv
import dataclasses
import gc
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tqdm import tqdm

from portraitseg.benchmark import Row, Settings, measure
from portraitseg.card import Card, card_path
from portraitseg.errors import InputError
from portraitseg.files import atomic
from portraitseg.quiet import load_tensorflow

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    nets: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Archs, with options if wished: slim_net, slim_net:act=relu, portrait_net:up=grouped,classes=2,channels=4 (default: all archs)."""
    size: int | None = None
    """Height and width of the input in pixels (default: each arch's own)."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads to measure with."""
    warmups: int = 10
    """Runs before the measured ones, in each process."""
    runs: int = 100
    """Measured runs of each file."""
    plain: bool = False
    """Also measure int8 without the rewriting."""
    pictures: int = 2
    """Drawn portraits to calibrate on."""
    files: Path | None = None
    """Folder that keeps the converted files, and from which a later run takes them (default: they are not kept)."""
    out: Path = RESULTS / "int8_speed.md"
    """Table to write; the numbers go beside it as .csv."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One net at one number of threads."""

    net: str
    size: int
    threads: int
    float_ms: float
    int8_ms: float
    ratio: float
    partitions: int | None
    float_mb: float
    int8_mb: float
    plain_ms: float | None = None
    plain_partitions: int | None = None


def main() -> None:
    """Convert, measure, print, write."""
    config = tyro.cli(Config, description=__doc__)
    for threads in config.threads:
        Settings(threads=threads, warmups=config.warmups, runs=config.runs).check()
    load_tensorflow()
    with tempfile.TemporaryDirectory() as temporary:
        folder = config.files or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        nets = [(net, *_convert(net, config, folder)) for net in tqdm(config.nets or _all(), desc="converting", unit="net")]
        lines: list[Line] = []
        for net, size, files in nets:
            for threads in config.threads:
                rows = measure(list(files.values()), Settings(threads=threads, warmups=config.warmups, runs=config.runs))
                lines.append(_line(net, size, threads, dict(zip(files, rows, strict=True))))
                print(lines[-1], flush=True)
            _write(config, lines, rows[0].device)  # after each net: a long run that is stopped leaves what it has


def _all() -> list[str]:
    from portraitseg.archs import ARCHS

    return list(ARCHS)


def parse(net: str, size: int | None) -> Card:
    """The card of "arch:option=value,..."; wm, classes and channels count as options.

    Raises:
        InputError: an option is not written so, or the arch has no such.
    """
    from portraitseg import archs

    arch, _, rest = net.partition(":")
    options: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"options are written name=value, got {item!r} in {net!r}; try slim_net:act=relu")
        options[name] = {"classes": int, "channels": int, "wm": float}.get(name, str)(value)
    return archs.new_card(arch, size=size, **options)


def _convert(net: str, config: Config, folder: Path) -> tuple[int, dict[str, Path]]:
    """Write the files with their cards, where they are not there yet: "float", "int8" and, if wished, "plain"."""
    card = parse(net, config.size)
    stem = net.replace(":", "-").replace(",", "-")
    files = {form: folder / f"{stem}-{form}.tflite" for form in ("float", "int8", *(["plain"] if config.plain else []))}
    if not all(card_path(file).is_file() for file in files.values()):
        _export(card, config, files)
        gc.collect()
    return card.size[0], files


def _export(card: Card, config: Config, files: dict[str, Path]) -> None:
    import tf_keras as keras

    from portraitseg import archs
    from portraitseg.data.sources import open_data
    from portraitseg.export import tflite
    from portraitseg.quantization.calibration import CalibrationSet
    from portraitseg.rewrite import deploy, int8_graph, int8_input

    keras.utils.set_random_seed(0)
    source = open_data(None, size=max(card.size)).train
    x = next(iter(CalibrationSet(source=source, indices=[0], card=card)))
    model = settle(archs.build(card), x)
    graph, card = deploy.to_deploy(model, card)
    forms = {"float": (graph, card), "int8": int8_input.to_byte_input(int8_graph.to_int8_graph(graph), card)}
    forms["plain"] = int8_input.to_byte_input(graph, card)
    for form, path in files.items():
        net_form, form_card = forms[form]
        quant, io = ("fp32", "float32") if form == "float" else ("int8", "int8")
        calibration = CalibrationSet(source=source, indices=range(config.pictures), card=form_card)
        path.write_bytes(tflite.convert(net_form, quant, calibration=calibration, io=io if quant == "int8" else None))
        dataclasses.replace(form_card, quant=quant, io=io).save(card_path(path))


def settle(model: Any, x: np.ndarray, seed: int = 0) -> Any:
    """Give a net random weights of a trained one's ranges.

    Args:
        model: a flat functional graph.
        x: (1,H,W,C), a picture.
        seed: of the weights.
    """
    import tensorflow as tf
    from tf_keras import layers

    from portraitseg.rewrite.graph import nodes

    rng, values = np.random.default_rng(seed), {}
    spreads = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 1.5), "alpha": (-0.1, 0.5)}
    for weight in model.weights:
        kind = weight.name.split("/")[-1].split(":")[0]
        if len(weight.shape) == 1 or kind == "alpha":
            weight.assign(rng.uniform(*spreads.get(kind, (-0.3, 0.3)), weight.shape))
    for node in nodes(model):
        if node.is_input:
            values[id(node.outputs)] = tf.constant(x)
            continue
        args, kwargs = tf.nest.map_structure(lambda value: values.get(id(value), value), (node.call_args, node.call_kwargs))
        made = node.layer(*args, **kwargs)
        if isinstance(node.layer, layers.Conv2D):
            kernel, *bias = node.layer.get_weights()
            node.layer.set_weights([kernel / float(tf.math.reduce_std(made) + 1e-6), *bias])
            made = node.layer(*args, **kwargs)
            if bias:
                node.layer.set_weights([node.layer.get_weights()[0], bias[0] - float(tf.math.reduce_mean(made))])
                made = node.layer(*args, **kwargs)
        values.update((id(old), new) for old, new in zip(tf.nest.flatten(node.outputs), tf.nest.flatten(made), strict=True))
    return model


def _line(net: str, size: int, threads: int, rows: dict[str, Row]) -> Line:
    fast, small, plain = rows["float"], rows["int8"], rows.get("plain")
    return Line(
        net=net,
        size=size,
        threads=threads,
        float_ms=round(fast.p50_ms, 3),
        int8_ms=round(small.p50_ms, 3),
        ratio=round(small.p50_ms / fast.p50_ms, 3),
        partitions=small.partitions,
        float_mb=round(fast.file_mb, 2),
        int8_mb=round(small.file_mb, 2),
        plain_ms=round(plain.p50_ms, 3) if plain else None,
        plain_partitions=plain.partitions if plain else None,
    )


def _write(config: Config, lines: list[Line], device: str) -> None:
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic(config.out) as temporary:
        temporary.write_text("\n".join(_markdown(config, lines, device)) + "\n", encoding="utf-8")
    with atomic(config.out.with_suffix(".csv")) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Line)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(line) for line in lines)


def _markdown(config: Config, lines: list[Line], device: str) -> Iterator[str]:
    yield "# Float against int8"
    yield ""
    yield f"Device: {device}. Each number is the median of {config.runs} runs after {config.warmups} warm-ups in each process, float and"
    yield "int8 in turn, of the net alone: the float file takes and gives floats, the int8 file int8, and to turn a picture into either"
    yield "counts for neither (`--io uint8`, as export.py has it by default, is a QUANTIZE more at each end). The input is one picture."
    yield "Random weights. Made by `python benchmarks/int8_speed.py`."
    yield ""
    heads = ["net", "size", "threads", "float ms", "int8 ms", "int8 / float", "int8 partitions", "float MB", "int8 MB"]
    heads += ["int8 not rewritten, ms", "its partitions"] if config.plain else []
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        cells = ["?" if value is None else str(value) for value in dataclasses.astuple(line)]
        yield f"| {' | '.join(cells[: len(heads)])} |"


if __name__ == "__main__":
    main()
