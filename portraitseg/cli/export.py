"""Turn a checkpoint into a file that ships: .tflite, ONNX, OpenVINO, SavedModel or frozen graph; see docs/formats.md."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from portraitseg import parts
from portraitseg.card import Card, card_path
from portraitseg.errors import InputError
from portraitseg.export.formats import FORMATS, WRITERS, check, write
from portraitseg.files import refuse_existing
from portraitseg.quiet import load_tensorflow

if TYPE_CHECKING:
    import tf_keras as keras

    from portraitseg.data.sources import Dataset
    from portraitseg.export.parity import Parity
    from portraitseg.quantization.calibration import CalibrationSet
    from portraitseg.quantization.picture_check import Pixels
    from portraitseg.quantization.post_training.quantize import Recipe


@dataclass(frozen=True, kw_only=True)
class Config:
    """Turn a checkpoint into a file that ships, and name it only if it says what the checkpoint says."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The checkpoint (.h5), its card beside it."""
    quant: Literal["auto", "fp32", "fp16", "dynamic", "int8", "int16x8"] = "auto"
    """fp16: half-precision weights; dynamic: int8 weights; int8: full integer, by pictures; int16x8: int8 weights and int16 activations,
    more exact, but no delegate takes them, so many times slower; auto: int8 for .tflite, else fp32."""
    io: Literal["uint8", "int8", "int16", "float"] | None = None
    """Input and output of an int8 file: uint8 (the default, so that a picture's raw RGB bytes are the input), int8 or float; of an int16x8
    file: float or int16. The others have float ones."""
    format: Literal["tflite", "mediapipe", "onnx", "openvino", "saved_model", "frozen"] = "tflite"
    """mediapipe: a .tflite that MediaPipe Tasks' ImageSegmenter takes, with labels and normalisation; LiteRT takes it too. openvino: an
    .xml with its .bin. saved_model: a folder. frozen: a TensorFlow graph (.pb)."""
    layout: Literal["nhwc", "nchw"] = "nhwc"
    """Order of the axes of an ONNX file's input and output: batch, height, width, channels, or the channels before height and width."""
    target: Literal["cpu", "plain", "edgetpu"] = "cpu"
    """cpu: the same function in the operations that XNNPACK runs fastest; plain: as built, for accelerators that know few; edgetpu: in
    those that Coral's compiler maps, refused if some are left to the CPU (int8 alone; see `portraitseg delegates`)."""
    data: Path | None = None
    """Folder or CSV to calibrate on, its validation part to compare on (default: the training set that the card names)."""
    val: Path | None = None
    """Folder or CSV to compare on (default: the validation part of the data)."""
    calibration: Literal["minmax", "moving-average", "percentile", "mse", "entropy"] = "percentile"
    """What an int8 tensor's range holds. percentile: 99.99% of the values; minmax: all; moving-average: averages of every picture's ends;
    mse: what gives the least squared error; entropy: what keeps most of the distribution (Kullback-Leibler)."""
    equalise: Literal["auto", "on", "off"] = "auto"
    """Cross-layer equalisation: even out the weights of consecutive layers before int8; the function stays the same. auto: where int8 loses
    more than 0.5 points of IoU or is out of tolerance, and if it helps."""
    bias_correction: Literal["auto", "on", "off"] = "auto"
    """Take off the biases what rounded weights shift on average. auto: as above."""
    keep_float: tuple[str, ...] = ()
    """Layers of an int8 file to leave float: the worst that `portraitseg quant-debug` finds. XNNPACK takes them in its stride, accelerators
    for integers alone do not; what it costs is measured and printed."""
    pictures: int = 128
    """Pictures to calibrate on, drawn so that they cover the training set."""
    held_out: int = 50
    """Held-out pictures on which the file is compared with the checkpoint."""
    seed: int = 0
    """Seed of both draws."""
    allow_drop: float | None = None
    """Accept a file that loses up to so many points of IoU, whatever the other tolerances say."""
    out: Path | None = None
    """Folder of the file (default: the checkpoint's)."""
    force: bool = False
    """Overwrite an existing file."""


def run(config: Config) -> int:
    """Export; 0 if the file passed the gate and was written, 1 if it was refused.

    Raises:
        InputError: something given cannot be used.
    """
    config = replace(config, quant=FORMATS[config.format].quants[0]) if config.quant == "auto" else config
    _check(config)
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
        if config.quant == "int8" and config.format not in WRITERS:
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
    if other or any(_recipe_flags(config).values()):
        raise InputError(
            f"{config.checkpoint} comes from quantization-aware training: it becomes an int8 .tflite for --target cpu, with the ranges "
            "that it has learned; leave out --quant, --format, --target and the flags of calibration, or export the float checkpoint"
        )
    with _workspace(path.parent) as folder:
        dataset, file = _open(config, trained), folder / path.name
        training = {key: _without_folder(value) for key, value in trained.training.items()}
        card = replace(trained, quant="int8", output="prob", io=_io(config).replace("float", "float32"), training=training)
        content = qat.convert(model, trained, io=_io(config))
        _examine(content, card)
        file.write_bytes(content)
        parity = _compare(config, (model, trained), card, dataset, file)
        if not _accepted(config, parity, path):
            return 1
        card = _with_parity(config, card, parity)
        _write(config, path, file, card)
    return 0


def _check(config: Config) -> None:
    check(config.format, quant=config.quant, layout=config.layout, io=config.io if config.quant == "int8" else None)
    ends = _ends(config)
    if config.io is not None and config.io not in ends:
        integer = "int16x8" if config.io == "int16" else "int8"
        has = f"has {' or '.join(ends)} input and output"
        raise InputError(f"--io {config.io} needs --quant {integer}; a {config.quant} file {has}, leave --io out")
    if not _by_recipe(config) and (found := [flag for flag, value in _recipe_flags(config).items() if value]):
        raise InputError(f"{', '.join(found)} needs --quant int8 of a .tflite file, got {config.quant}, {config.format}; leave it out")
    if config.target == "edgetpu" and (config.quant != "int8" or config.io == "float" or config.format in WRITERS):
        came = f"--quant {config.quant}, --io {_io(config)}, --format {config.format}"
        raise InputError(f"--target edgetpu makes a .tflite of 8-bit integers throughout, got {came}; use --quant int8 --io uint8 or int8")
    if config.pictures < 1 or config.held_out < 1:
        counts = f"{config.pictures} and {config.held_out}"
        raise InputError(f"--pictures and --held-out must be at least 1, got {counts}; the defaults are 128 and 50")
    if config.allow_drop is not None and not 0 <= config.allow_drop <= 100:
        raise InputError(f"--allow-drop is in points of IoU, 0 to 100, got {config.allow_drop}")


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
    return (graph, card) if _io(config) == "float" else int8_input.to_byte_input(graph, card)


def _for_mediapipe(config: Config, graph: "keras.Model", card: Card) -> tuple["keras.Model", Card]:
    """The graph with a normalisation that ImageSegmenter knows: one for all channels, RGB.

    Raises:
        InputError: the net cannot be fed by ImageSegmenter.
    """
    from portraitseg.export import mediapipe
    from portraitseg.rewrite import int8_input

    mediapipe.check(card, io=_io(config))
    return int8_input.to_byte_input(graph, card)


def _artifact_card(config: Config, card: Card, calibration: "CalibrationSet | None") -> Card:
    """The card as it ships: without the machine's paths, with what the file was made from."""
    io = _io(config).replace("float", "float32")
    made = {"data": _data_name(config, card), "pictures": len(calibration), "seed": config.seed, "method": "minmax"} if calibration else {}
    training = {key: _without_folder(value) for key, value in card.training.items()}
    return replace(card, quant=config.quant, layout=config.layout, io=io, training=training, calibration=made)


def _io(config: Config) -> str:
    return config.io or _ends(config)[0]


def _ends(config: Config) -> tuple[str, ...]:
    """Data types that the file's input and output may have, the default first."""
    return {"int8": FORMATS[config.format].io, "int16x8": ("float", "int16")}.get(config.quant, ("float",))


def _by_recipe(config: Config) -> bool:
    """Whether the file is made by our own post-training quantization."""
    return config.quant == "int8" and config.format not in WRITERS


def _recipe_flags(config: Config) -> dict[str, bool]:
    """Flags of post-training quantization, and whether each differs from its default."""
    names = ("calibration", "equalise", "bias_correction", "keep_float")
    return {f"--{name.replace('_', '-')}": getattr(config, name) != getattr(Config, name) for name in names}


def _made(config: Config, attempt: "Callable[[Recipe | None, Path], Parity]", card: Card, file: Path) -> "tuple[dict[str, Any], Parity]":
    """Make the file, of several that can be tried the best one; what its card says of how, and how it compares."""
    if not _by_recipe(config):
        return {}, attempt(None, file)
    from portraitseg.cli import cost
    from portraitseg.export import remedies

    flags = {"equalise": config.equalise, "bias_correction": config.bias_correction}
    start = remedies.first(config.calibration, keep_float=config.keep_float, **flags)
    recipe, parity = remedies.best(start, remedies.later(start, **flags), lambda recipe: attempt(recipe, file))
    if recipe.keep_float:
        whole = file.with_name("whole.tflite")
        files = {"all int8": (whole, attempt(replace(recipe, keep_float=()), whole)), "with layers in float": (file, parity)}
        print(cost.table(card, files))
    return recipe.as_card(), parity


def _data_name(config: Config, card: Card) -> str:
    data = config.data or _trained_on(card, "data")
    return "synthetic" if data is None else data.resolve().name


def _without_folder(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_folder(item) for item in value]
    return Path(value).name if isinstance(value, str) and ("/" in value or "\\" in value) else value


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
