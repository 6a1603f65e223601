"""The command line: `portraitseg COMMAND ...`, one module a command, loaded only when it is called."""

import importlib
import re
import sys

from portraitseg import __version__
from portraitseg.errors import InputError
from portraitseg.optional import missing
from portraitseg.quiet import quiet

COMMANDS = {
    "train": "train a net and leave a checkpoint, a log, curves and a contact sheet",
    "lr-find": "try rising learning rates and suggest one",
    "presets": "list the published recipes that train --preset takes, or show one",
    "soup": "average nets that were trained on from the same one into a better one",
    "eval": "score a checkpoint or an artifact on pictures with masks",
    "export": "turn a checkpoint into a file that ships: .tflite, ONNX, OpenVINO and others, float or int8",
    "bundle": "put an artifact with card, labels, licence, sample and example into one .zip",
    "quant-debug": "find the layers that int8 spoils: error of each against float, a plot, the five worst",
    "test": "cut the person out of a photo or a folder of photos",
    "live": "put another background behind a person, in front of a camera, in a video or a stream",
    "harmonizer": "train the net that fits a person's colours to another background",
    "benchmark": "measure latency, memory, size and accuracy of artifacts",
    "benchmark live": "measure the live pipeline, stage by stage",
    "benchmark pipeline": "measure whether the data pipeline keeps up with training",
    "delegates": "say which ops of a .tflite file XNNPACK, a GPU, NNAPI, QNN and the Edge TPU take",
    "archs": "list the architectures with their parameters and MACs",
    "data records": "write pictures with masks as TFRecord shards, for large sets",
    "data preview": "draw augmented training samples with their masks' outlines",
}


def main(command: str | None = None, argv: list[str] | None = None) -> int:
    """Run one command; `command` is set by the top-level scripts (train.py, ...), else the first words of `argv` name it.

    Returns:
        The exit code: 0, 1 where a check failed, 2 for input that cannot be used, 130 when interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if command is not None:
        words = [command, *words]
    name = " ".join(words[:2])
    if name not in COMMANDS:
        name = words[0] if words else "--help"
    if name in ("--help", "-h"):
        print(_usage())
        return 0
    if name == "--version":
        print(__version__)
        return 0
    if name not in COMMANDS:
        print(f"error: unknown command {name!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    return _run(name, words[len(name.split()) :])


def _run(name: str, argv: list[str]) -> int:
    import tyro

    try:
        with quiet():
            module = importlib.import_module(f"portraitseg.cli.{re.sub('[ -]', '_', name)}")
        default = {"default": module.defaults(argv)} if hasattr(module, "defaults") else {}
        config = tyro.cli(module.Config, prog=f"portraitseg {name}", description=module.__doc__, args=argv, **default)
        return int(module.run(config))
    except ModuleNotFoundError as error:  # of a package that only some commands need
        print(f"error: {missing(error, extra='train')}", file=sys.stderr)
        return 2
    except (InputError, ImportError, OSError, MemoryError) as error:
        print(f"error: {error or type(error).__name__}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: portraitseg COMMAND [options]", "", *lines, "", "portraitseg COMMAND --help explains its options."])
