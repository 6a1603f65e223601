"""Turn a checkpoint into a file that ships: .tflite, ONNX, OpenVINO, SavedModel or frozen graph; see docs/formats.md."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from portraitseg import parts
from portraitseg.card import EMBEDDED, Card, card_path
from portraitseg.errors import InputError
from portraitseg.export.formats import FORMATS, WRITERS, check, write
from portraitseg.files import refuse_existing
from portraitseg.quiet import load_tensorflow

if TYPE_CHECKING:
    import tf_keras as keras

    from portraitseg.data.sources import Dataset
    from portraitseg.export.parity import Parity
    from portraitseg.quantization.calibration import CalibrationSet


@dataclass(frozen=True, kw_only=True)
class Config:
    """Turn a checkpoint into a file that ships, and name it only if it says what the checkpoint says."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The checkpoint (.h5), its card beside it."""
    quant: Literal["auto", "fp32", "fp16", "dynamic", "int8"] = "auto"
    """fp16: half-precision weights; dynamic: int8 weights; int8: full integer, by pictures; auto: int8 for .tflite, else fp32."""
    io: Literal["uint8", "int8", "float"] | None = None
    """Input and output of an int8 file (default: uint8, so that a picture's raw RGB bytes are the input). The others have float ones."""
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
    with _workspace(path.parent) as folder:
        dataset = _open(config, trained)
        graph, card = deploy.to_deploy(model, trained, rewrite=config.target == "cpu")
        for name in deploy.unfolded(model):
            print(f"note: batch normalisation {name} follows no convolution and stays an op of its own")
        if config.quant == "int8" and config.format not in WRITERS:
            graph, card = _for_int8(config, graph, card)
        if config.format == "mediapipe":
            graph, card = _for_mediapipe(config, graph, card)
        calibration = _calibration(config, dataset, card) if config.quant == "int8" else None
        card = _artifact_card(config, card, calibration)
        file = folder / path.name
        if config.format in WRITERS:
            write(config.format, graph, card, file, calibration)
        else:
            file.write_bytes(_for_target(config, _convert(graph, card, calibration)))
        parity = _compare(config, (model, trained), card, dataset, file)
        if not _accepted(config, parity, path):
            return 1
        card = _with_parity(config, card, parity)
        if config.format not in WRITERS:
            file.write_bytes(_with_metadata(config, file.read_bytes(), card))
        _write(path, file, card)
    return 0


def _check(config: Config) -> None:
    check(config.format, quant=config.quant, layout=config.layout, io=config.io if config.quant == "int8" else None)
    if config.quant != "int8" and config.io not in (None, "float"):
        raise InputError(f"--io {config.io} needs --quant int8; a {config.quant} file has float input and output, leave --io out")
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
    from portraitseg.quantization.calibration import CalibrationSet, draw

    return CalibrationSet(source=dataset.train, indices=draw(len(dataset.train), config.pictures, seed=config.seed), card=card)


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
    io = {"uint8": "uint8", "int8": "int8", "float": "float32"}[_io(config)]
    made = {"data": _data_name(config, card), "pictures": len(calibration), "seed": config.seed, "method": "min-max"} if calibration else {}
    training = {key: _without_folder(value) for key, value in card.training.items()}
    return replace(card, quant=config.quant, layout=config.layout, io=io, training=training, calibration=made)


def _io(config: Config) -> str:
    return (config.io or FORMATS[config.format].io[0]) if config.quant == "int8" else "float"


def _data_name(config: Config, card: Card) -> str:
    data = config.data or _trained_on(card, "data")
    return "synthetic" if data is None else data.resolve().name


def _without_folder(value: Any) -> Any:
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


def _convert(graph: "keras.Model", card: Card, calibration: "CalibrationSet | None") -> bytes:
    from portraitseg.export import tflite, tflite_report

    io = card.io.replace("float32", "float")
    if card.quant == "int8" and io != "float":
        tflite.byte_quantization(card.input)  # refuses before the work
    content = tflite.convert(graph, card.quant, calibration=calibration, io=io)
    report = tflite_report.inspect(content)
    for line in report.lines():
        print(line)
    if card.quant == "int8":
        tflite.check_int8(report, card, io=io)
        if io != "float" and card.input.mean[0] % 1:
            print(
                "note: raw RGB bytes are the input; a zero point is a whole number, so it lies half a step (of 255) beside the checkpoint's"
            )
        if report.partitions not in (1, None):
            print(f"warning: XNNPACK runs this int8 file in {report.partitions} parts instead of 1: it is slower than it could be")
    return content


def _compare(config: Config, checkpoint: "tuple[keras.Model, Card]", card: Card, dataset: "Dataset", file: Path) -> "Parity":
    from portraitseg.export import parity
    from portraitseg.quantization.calibration import draw
    from portraitseg.runtime import open_artifact

    indices = draw(len(dataset.val), config.held_out, seed=config.seed)
    vouched = replace(card, sha256=parts.sha256(file))
    reference, artifact = parity.keras_reference(*checkpoint), open_artifact(file, card=vouched)
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


def _with_metadata(config: Config, content: bytes, card: Card) -> bytes:
    """The file as it ships: its card is inside too and, for MediaPipe, what that wants to know."""
    from portraitseg import tflite_metadata
    from portraitseg.export import mediapipe

    blocks = {EMBEDDED: card.embedded()}
    return mediapipe.with_metadata(content, card, blocks) if config.format == "mediapipe" else tflite_metadata.add(content, blocks)


def _write(path: Path, file: Path, card: Card) -> None:
    """Put the file in its place, its card beside it, once it has opened."""
    from portraitseg.runtime import open_artifact

    card = replace(card, sha256=parts.sha256(file))
    open_artifact(file, card=card)
    card.save(card_path(path))
    parts.move(file, path)
    print(f"wrote {path} and {card_path(path).name}")
