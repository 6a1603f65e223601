"""Post-training quantization compared: each calibration method, with and without equalisation and GPTQ, and ai-edge-quantizer.

Takes float .tflite files, with their cards or, from elsewhere, with --input-range. Every int8 file is scored on the validation pictures;
one of each quantizer is timed beside the float file. ai-edge-quantizer comes with the extra `aeq`.
"""

import csv
import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from portraitseg.benchmark import Row, Settings, accuracy, measure
from portraitseg.card import Card, card_path
from portraitseg.data.sources import Dataset, open_data
from portraitseg.device import device_name
from portraitseg.files import atomic
from portraitseg.optional import require
from portraitseg.quantization.calibration import CalibrationSet, draw
from portraitseg.quiet import load_tensorflow, quiet
from portraitseg.runtime import foreign_card

RESULTS = Path(__file__).parent / "results"
TENSORFLOW, AI_EDGE = "TensorFlow", "ai-edge-quantizer"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the comparison."""

    nets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Float .tflite files; one without a card as FILE:INPUT_RANGE, such as net.tflite:-1..1."""
    data: Path
    """Folder of pictures with masks: to calibrate on, and in its validation part to score on."""
    pictures: int = 64
    """Pictures to calibrate on."""
    seed: int = 0
    """Seed of the draw."""
    runs: int = 60
    """Measured runs of each file, one thread."""
    out: Path = RESULTS / "ptq.md"
    """Table to write; the numbers go beside it as .csv."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One file of one net."""

    net: str
    quantizer: str
    ranges: str
    weights: str
    """What is done to them."""
    miou: float
    loss: float
    """Points of mIoU below the float file."""
    ms: float
    kb: float
    partitions: int | None


def main() -> None:
    """Quantize, score, time, print, write."""
    config = tyro.cli(Config, description=__doc__)
    load_tensorflow()
    dataset = open_data(config.data)
    print("\n".join(dataset.report))
    lines: list[Line] = []
    for net in config.nets:
        with tempfile.TemporaryDirectory() as folder:
            lines += _compare(net, config, dataset, Path(folder))
        _write(config, lines)


def _compare(net: Path, config: Config, dataset: Dataset, folder: Path) -> list[Line]:
    path, _, input_range = str(net).partition(":")
    card = foreign_card(Path(path), input_range=input_range) if input_range else Card.load(card_path(Path(path)))
    card = dataclasses.replace(card, sha256="")
    content, indices = _without_card(Path(path).read_bytes()), draw(len(dataset.train), config.pictures, seed=config.seed)
    pictures = list(CalibrationSet(source=dataset.train, indices=indices, card=card))
    labels = [("none", "", "")]
    files = [_save(folder / "float.tflite", content, card)]
    for number, (label, made) in enumerate(_files(content, pictures)):
        labels.append(label)
        files.append(_save(folder / f"{number}.tflite", made, dataclasses.replace(card, quant="int8")))
    settings = Settings(threads=1, runs=config.runs)
    scores = [score["miou"] for score in accuracy(files, dataset.val, settings, lambda plan: tqdm(plan, unit="picture", desc="accuracy"))]
    timed = [files[0], files[1], files[-1]]  # ranges and weights do not change the operations: one file of a quantizer stands for all
    rows = measure(timed, settings, lambda plan: tqdm(plan, unit="process", desc="latency"))
    by_quantizer = dict(zip(("none", TENSORFLOW, AI_EDGE), rows, strict=True))
    return [
        _line(Path(path).stem, label, miou, by_quantizer[label[0]], scores[0], file)
        for label, miou, file in zip(labels, scores, files, strict=True)
    ]


def _without_card(content: bytes) -> bytes:
    """The file without what it says of itself: that is not true of what is made of it."""
    from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph

    flat = TFLiteGraph(content)
    flat.model.metadata = []
    return flat.content()


def _files(content: bytes, pictures: list[Any]) -> Iterator[tuple[tuple[str, str, str], bytes]]:
    """(quantizer, ranges, what is done to the weights) and the int8 file."""
    from portraitseg.quantization.post_training import rounding
    from portraitseg.quantization.post_training.equalise import equalise
    from portraitseg.quantization.post_training.quantize import finish
    from portraitseg.quantization.post_training.statistics import collect
    from portraitseg.quantization.post_training.thresholds import METHODS

    with quiet():
        evened = equalise(content, collect(content, pictures)).content
        found = {form: collect(form, pictures, histograms=True) for form in (content, evened)}
        forms = [
            ("", content, content), ("GPTQ", content, rounding.fit(content, pictures)),
            ("equalisation", evened, evened), ("both", evened, rounding.fit(evened, pictures)),
        ]  # fmt: skip
    for method in METHODS:
        for name, form, weights in forms:
            with quiet():
                made = finish(weights, found[form], method, io="uint8")
            yield (TENSORFLOW, method, name), made
    with quiet():
        made = _ai_edge(content, pictures)
    yield (AI_EDGE, "moving average, its own", ""), made


def _ai_edge(content: bytes, pictures: list[Any]) -> bytes:
    """By ai-edge-quantizer's full-integer recipe: int8 weights by channel, int8 activations."""
    library = require("ai_edge_quantizer.quantizer", extra="aeq")
    recipe = require("ai_edge_quantizer.recipe", extra="aeq").static_wi8_ai8()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(_signed(content))
        quantizer = library.Quantizer(str(path), recipe)
        ranges = quantizer.calibrate({"serving_default": [{"image": x} for x in pictures]})
        return bytes(quantizer.quantize(ranges).quantized_model)


def _signed(content: bytes) -> bytes:
    """The file with a signature image -> prob, which ai-edge-quantizer needs and old converters leave out."""
    from ai_edge_litert import schema_py_generated as schema

    from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph

    flat = TFLiteGraph(content)
    for code in flat.model.operatorCodes:
        code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode)
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = [_named("image", flat.graph.inputs[0])], [_named("prob", flat.graph.outputs[0])]
    flat.model.signatureDefs = [signature]
    return flat.content()


def _named(name: str, index: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, int(index)
    return entry


def _save(path: Path, content: bytes, card: Card) -> Path:
    path.write_bytes(content)
    card.save(card_path(path))
    return path


def _line(net: str, label: tuple[str, str, str], miou: float, row: Row, reference: float, file: Path) -> Line:
    quantizer, ranges, weights = label
    return Line(
        net=net,
        quantizer=quantizer,
        ranges=ranges,
        weights=weights,
        miou=round(miou, 2),
        loss=round(reference - miou, 2),
        ms=round(row.p50_ms, 2),
        kb=round(file.stat().st_size / 1024, 1),
        partitions=row.partitions,
    )


def _write(config: Config, lines: list[Line]) -> None:
    names = [field.name for field in dataclasses.fields(Line)]
    rows = [[str(getattr(line, name)) for name in names] for line in lines]
    table = ["| " + " | ".join(row) + " |" for row in (names, ["---"] * len(names), *rows)]
    print("\n".join(table), flush=True)
    measured = f"Device: {device_name()}, one thread, medians of {config.runs} runs."
    head = f"{measured} {config.pictures} pictures to calibrate on, seed {config.seed}."
    with atomic(config.out) as temporary:
        temporary.write_text("\n".join([head, "", *table]) + "\n", encoding="utf-8")
    with atomic(config.out.with_suffix(".csv")) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])


if __name__ == "__main__":
    main()
