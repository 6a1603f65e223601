"""Turn a checkpoint into a file that ships: .tflite, ONNX, OpenVINO, SavedModel or frozen graph; see docs/formats.md."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitseg import parts
from portraitseg.card import Card, card_path
from portraitseg.cli.export_config import Config
from portraitseg.command_line import command_line, without_folder
from portraitseg.errors import InputError
from portraitseg.export.formats import FORMATS, WRITERS, write
from portraitseg.files import refuse_existing
from portraitseg.quiet import load_tensorflow

if TYPE_CHECKING:
    import tf_keras as keras

    from portraitseg.data.sources import Dataset
    from portraitseg.export.parity import Parity
    from portraitseg.quantization.calibration import CalibrationSet
    from portraitseg.quantization.picture_check import Pixels
    from portraitseg.quantization.post_training.quantize import Recipe


def run(config: Config) -> int:
    """Export; 0 if the file passed the gate and was written, 1 if it was refused.

    Raises:
        InputError: something given cannot be used.
    """
    config = replace(config, quant=FORMATS[config.format].quants[0]) if config.quant == "auto" else config
    config.check()
    load_tensorflow()
    from portraitseg import checkpoint
    from portraitseg.rewrite import deploy

    model, trained = checkpoint.load(config.checkpoint)
    path = _output(config, trained)
    if trained.quant == "qat":
        return _run_learned(config, model, trained, path)
    with _workspace(path.parent) as folder:
        dataset = _open(config, trained)
        graph, card = deploy.to_deploy(model, trained, rewrite=config.target == "cpu" and config.quant != "int16x8")
        for name in deploy.unfolded(model):
            print(f"note: batch normalisation {name} follows no convolution and stays an op of its own")
        if config.by_recipe:
            graph, card = _for_int8(config, graph, card)
        if config.format == "mediapipe":
            graph, card = _for_mediapipe(config, graph, card)
        calibration = _calibration(config, dataset, card) if config.quant in ("int8", "int16x8") else None
        card = _artifact_card(config, card, calibration)
        file = folder / path.name

        def attempt(recipe: "Recipe | None", file: Path) -> "Parity":
            if config.format in WRITERS:
                write(config.format, graph, card, file, calibration)
            else:
                file.write_bytes(_for_target(config, _convert(graph, card, calibration, recipe)))
            return _compare(config, (model, trained), card, dataset, file)

        made, parity = _made(config, attempt, card, file)
        if not _accepted(config, parity, path):
            return 1
        card = _with_parity(config, replace(card, calibration={**card.calibration, **made}), parity)
        _write(config, path, file, card)
    return 0


def _run_learned(config: Config, model: "keras.Model", trained: Card, path: Path) -> int:
    """The same for a checkpoint of quantization-aware training: the ranges are in it, and int8 is all that it is for."""
    from portraitseg.export import qat

    other = config.quant != "int8" or config.format != "tflite" or config.target != "cpu"
    if other or any(config.recipe_flags.values()):
        raise InputError(
            f"{config.checkpoint} comes from quantization-aware training: it becomes an int8 .tflite for --target cpu, with the ranges "
            "that it has learned; leave out --quant, --format, --target and the flags of calibration, or export the float checkpoint"
        )
    with _workspace(path.parent) as folder:
        dataset, file = _open(config, trained), folder / path.name
        card = replace(_told(config, trained), quant="int8", output="prob", io=config.io_type.replace("float", "float32"))
        content = qat.convert(model, trained, io=config.io_type)
        _examine(content, card)
        file.write_bytes(content)
        parity = _compare(config, (model, trained), card, dataset, file)
        if not _accepted(config, parity, path):
            return 1
        card = _with_parity(config, card, parity)
        _write(config, path, file, card)
    return 0


def _output(config: Config, card: Card) -> Path:
    """Where the file will stand; nothing that is there is overwritten unasked, and the checkpoint's card never."""
    layout = "" if config.layout == "nhwc" else f"-{config.layout}"
    path = (config.out or config.checkpoint.parent) / f"{card.name}-{config.quant}{layout}{FORMATS[config.format].ending}"
    refuse_existing(path, force=config.force)
    refuse_existing(card_path(path), force=config.force)
    if card_path(path).resolve() == card_path(config.checkpoint).resolve():
        raise InputError(f"{card_path(path)} is the checkpoint's own card; choose another folder with --out DIR")
    return path


@contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    """A temporary folder in `folder`: an output that cannot be written to shows before the work, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".export-", dir=folder)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out DIR") from error
    with work as name:
        yield Path(name)


def _open(config: Config, card: Card) -> "Dataset":
    from portraitseg.data.sources import open_data

    data, val = config.data, config.val
    if data is None:
        data, val = _trained_on(card, "data"), val or _trained_on(card, "val")
    dataset = open_data(data, val, seed=int(card.training.get("seed", 0)), size=max(256, *card.size))
    for line in dataset.report:
        print(line)
    return dataset


def _trained_on(card: Card, key: str) -> Path | None:
    """The folder that the card names as its data; None for the synthetic set.

    Raises:
        InputError: the folder is not on this machine.
    """
    value = card.training.get(key)
    if value in (None, "", "synthetic"):
        return None
    if not Path(value).exists():
        raise InputError(f"the card says that the net was trained on {value}, which is not here; give pictures with masks: --data DIR")
    return Path(value)


def _calibration(config: Config, dataset: "Dataset", card: Card) -> "CalibrationSet":
    from portraitseg.quantization import picture_check
    from portraitseg.quantization.calibration import CalibrationSet, draw

    indices = draw(len(dataset.train), config.pictures, seed=config.seed)
    picture_check.check(picture_check.look(dataset.train, indices), card, _trained_pixels(config, card))
    return CalibrationSet(source=dataset.train, indices=indices, card=card)


def _trained_pixels(config: Config, card: Card) -> "Pixels | None":
    """What the bytes of the training set are like, where others are calibrated on and the card names a folder that is here."""
    from portraitseg.data.sources import open_data
    from portraitseg.quantization.picture_check import look

    value = card.training.get("data")
    if config.data is None or value in (None, "", "synthetic") or not Path(value).exists():
        return None
    train = open_data(Path(value)).train
    return look(train, range(len(train)))


def _for_int8(config: Config, graph: "keras.Model", card: Card) -> tuple["keras.Model", Card]:
    """The deploy graph in operations that run in one piece in int8, and, if bytes go in, with a normalisation that bytes can have."""
    from portraitseg.rewrite import edgetpu_graph, int8_graph, int8_input

    if config.target != "plain":
        graph = (int8_graph.to_int8_graph if config.target == "cpu" else edgetpu_graph.to_edgetpu_graph)(graph)
    return (graph, card) if config.io_type == "float" else int8_input.to_byte_input(graph, card)


def _for_mediapipe(config: Config, graph: "keras.Model", card: Card) -> tuple["keras.Model", Card]:
    """The graph with a normalisation that ImageSegmenter knows: one for all channels, RGB.

    Raises:
        InputError: the net cannot be fed by ImageSegmenter.
    """
    from portraitseg.export import mediapipe
    from portraitseg.rewrite import int8_input

    mediapipe.check(card, io=config.io_type)
    return int8_input.to_byte_input(graph, card)


def _artifact_card(config: Config, card: Card, calibration: "CalibrationSet | None") -> Card:
    """The card as it ships: without the machine's paths, with what the file was made from."""
    io = config.io_type.replace("float", "float32")
    made = {"data": _data_name(config, card), "pictures": len(calibration), "seed": config.seed, "method": "minmax"} if calibration else {}
    return replace(_told(config, card), quant=config.quant, layout=config.layout, io=io, calibration=made)


def _made(config: Config, attempt: "Callable[[Recipe | None, Path], Parity]", card: Card, file: Path) -> "tuple[dict[str, Any], Parity]":
    """Make the file; what its card says of how, and how it compares."""
    if not config.by_recipe:
        return {}, attempt(None, file)
    from portraitseg.cli import cost
    from portraitseg.quantization.post_training.quantize import Recipe

    recipe = Recipe(method=config.calibration, equalise=config.equalise == "on", rounding=config.rounding, keep_float=config.keep_float)
    parity = attempt(recipe, file)
    if recipe.keep_float:
        whole = file.with_name("whole.tflite")
        files = {"all int8": (whole, attempt(replace(recipe, keep_float=()), whole)), "with layers in float": (file, parity)}
        print(cost.table(card, files))
    return recipe.as_card(), parity


def _data_name(config: Config, card: Card) -> str:
    data = config.data or _trained_on(card, "data")
    return "synthetic" if data is None else data.resolve().name


def _told(config: Config, card: Card) -> Card:
    """The card with what it tells of the training, but for the machine's paths, and with the command of the export behind the others."""
    training = {key: value if key in ("data_names", "licence") else without_folder(value) for key, value in card.training.items()}
    if not card.made:
        return replace(card, training=training)
    words, plain = f"python export.py {config.checkpoint.name}", Config(checkpoint=config.checkpoint)
    line = command_line(words, config, plain, without=("checkpoint", "out", "force"))
    return replace(card, training=training, made={**card.made, "commands": [*card.made.get("commands", ()), line]})


def _for_target(config: Config, content: bytes) -> bytes:
    """The file as the Edge TPU's compiler can read it, if it is for that.

    Raises:
        InputError: the Edge TPU would leave ops to the CPU.
    """
    from portraitseg.export import edgetpu

    if config.target != "edgetpu":
        return content
    content, lines = edgetpu.finish(content, "the file")
    print("\n".join(lines))
    return content


def _convert(graph: "keras.Model", card: Card, calibration: "CalibrationSet | None", recipe: "Recipe | None") -> bytes:
    from portraitseg.export import tflite

    io = card.io.replace("float32", "float")
    if card.quant == "int8" and io != "float":
        tflite.byte_quantization(card.input)  # refuses before the work
    content = tflite.convert(graph, card.quant, calibration=calibration, io=io, recipe=recipe)
    _examine(content, card, kept=recipe is not None and bool(recipe.keep_float))
    return content


def _examine(content: bytes, card: Card, *, kept: bool = False) -> None:
    """Say what is in the file, and refuse an int8 file that is not what it should be."""
    from portraitseg.export import tflite, tflite_report

    report, io = tflite_report.inspect(content), card.io.replace("float32", "float")
    for line in report.lines():
        print(line)
    if card.quant == "int8":
        tflite.check_int8(report, card, io=io, kept=kept)
        if io != "float" and card.input.mean[0] % 1:
            print(
                "note: raw RGB bytes are the input; a zero point is a whole number, so it lies half a step (of 255) beside the checkpoint's"
            )
        if report.partitions not in (1, None):
            print(f"warning: XNNPACK runs this int8 file in {report.partitions} parts instead of 1: it is slower than it could be")
    if card.quant == "int16x8":
        print("note: no delegate takes int16 activations, so the built-in kernels run every op: exact, but many times slower than int8")


def _compare(config: Config, checkpoint: "tuple[keras.Model, Card]", card: Card, dataset: "Dataset", file: Path) -> "Parity":
    from portraitseg.export import parity
    from portraitseg.quantization.calibration import draw
    from portraitseg.runtime import open_artifact

    indices = draw(len(dataset.val), config.held_out, seed=config.seed)
    vouched = replace(card, sha256=parts.sha256(file))
    reference, artifact = parity.keras_reference(*checkpoint), open_artifact(file, card=vouched, threads=os.cpu_count() or 1)
    result = parity.compare(reference, artifact, dataset.val, indices, prepared=checkpoint[1])
    print(f"parity on {result.pictures} held-out pictures: {result.line(card.quant)}")
    return result


def _accepted(config: Config, result: "Parity", path: Path) -> bool:
    from portraitseg.export import parity

    found = parity.complaints(result, config.quant)
    if not found:
        return True
    if config.allow_drop is not None and result.iou_drop <= config.allow_drop:
        print(f"warning: out of tolerance, but accepted by --allow-drop {config.allow_drop:g}: {'; '.join(found)}")
        return True
    print(
        f"refused, {path} is not written: {'; '.join(found)}. Calibrate on more pictures (--pictures, --data), export with another "
        "--quant, or accept the loss with --allow-drop POINTS",
        file=sys.stderr,
    )
    return False


def _with_parity(config: Config, card: Card, result: "Parity") -> Card:
    figures = {"parity_mean_abs": round(result.mean_abs, 6), "parity_iou_drop": round(result.iou_drop, 4)}
    if config.allow_drop is not None:
        figures["parity_allowed_drop"] = config.allow_drop
    return replace(card, metrics={**card.metrics, **figures})


def _write(config: Config, path: Path, file: Path, card: Card) -> None:
    """Put the file in its place, its card beside it and inside, once it has opened."""
    from portraitseg.export import metadata
    from portraitseg.runtime import open_artifact

    if config.format in metadata.FORMATS:
        file.write_bytes(metadata.embed(file.read_bytes(), config.format, card))
    card = replace(card, sha256=parts.sha256(file))
    open_artifact(file, card=card, threads=os.cpu_count() or 1)
    card.save(card_path(path))
    parts.move(file, path)
    print(f"wrote {path} and {card_path(path).name}")
