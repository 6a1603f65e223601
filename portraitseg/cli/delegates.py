"""Say where each op of a .tflite file would run: on XNNPACK, on phones' accelerators and on the Edge TPU, and what keeps it on the CPU.

XNNPACK is asked on this machine. The GPU delegate, NNAPI, QNN, Hexagon and the Edge TPU are judged by what is published about them;
each reason names its source, and where nothing is published the verdict is "unknown". Where `edgetpu_compiler` is installed, it is
called too, and its log compared with the verdict.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from portraitseg.errors import InputError
from portraitseg.export import delegates
from portraitseg.export.delegates import edgetpu_compiler
from portraitseg.export.delegates.graph import read
from portraitseg.runtime import probe

if TYPE_CHECKING:
    from portraitseg.export.delegates.edgetpu_compiler import Log
    from portraitseg.export.delegates.graph import Graph
    from portraitseg.export.delegates.report import Report

Name = Literal["xnnpack", "gpu", "nnapi", "qnn", "hexagon", "edgetpu"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `portraitseg delegates`."""

    artifact: Annotated[Path, tyro.conf.Positional]
    """The .tflite file."""
    only: tuple[Name, ...] = ()
    """Delegates to look at (default: all)."""
    require: tuple[Name, ...] = ()
    """Exit with 1 if one of these would leave an op to the CPU; what is unknown counts as taken."""
    android_api: int = delegates.nnapi.NEWEST
    """API level of the phone, for NNAPI: 27 is Android 8.1, 29 Android 10, 30 Android 11; newer ones bring nothing more."""
    json: bool = False
    """Print JSON instead of text."""


def run(config: Config) -> int:
    """Print the verdicts; 0, or 1 if a required delegate would leave an op to the CPU.

    Raises:
        InputError: the file cannot be read or crashes LiteRT, or an option is out of range.
    """
    graph = _read(config)
    names = tuple(dict.fromkeys((*(config.only or delegates.DELEGATES), *config.require)))
    if "xnnpack" in names:
        probe.check(config.artifact, "tflite")
    reports = {name: delegates.examine(name, graph, android=config.android_api) for name in names}
    log = edgetpu_compiler.compile_file(config.artifact) if "edgetpu" in names and not graph.compiled else None
    print(_json(config, graph, reports, log) if config.json else "\n".join(_text(config, graph, reports, log)))
    failed = [name for name in config.require if not reports[name].whole or (name == "edgetpu" and log is not None and not log.whole)]
    for name in failed:
        print(f"refused: {reports[name].title} would leave ops to the CPU: {reports[name].summary()}", file=sys.stderr)
    return 1 if failed else 0


def _read(config: Config) -> "Graph":
    if config.android_api < 27:
        raise InputError(f"--android-api must be at least 27 (Android 8.1, which brought NNAPI), got {config.android_api}")
    try:
        content = config.artifact.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {config.artifact}: {error.strerror}; give a .tflite file") from error
    return read(content, str(config.artifact))


def _text(config: Config, graph: "Graph", reports: dict[str, "Report"], log: "Log | None") -> list[str]:
    ops = ", ".join(f"{name} {count}" for name, count in graph.histogram().most_common())
    folded = len(graph.ops) - len(graph.running)
    lines = [f"{config.artifact}: {len(graph.running)} ops: {ops}"]
    if folded:
        lines.append(f"{folded} more only unpack weights, once, when the file is opened")
    if graph.subgraphs > 1:
        lines.append(f"{graph.subgraphs - 1} further graphs, which control flow calls, are not looked at")
    for name, report in reports.items():
        lines += ["", *report.lines()]
        if name == "edgetpu" and log is not None:
            lines += [f"  {line}" for line in edgetpu_compiler.compare(log, report)]
    return lines


def _json(config: Config, graph: "Graph", reports: dict[str, "Report"], log: "Log | None") -> str:
    found = {
        "file": str(config.artifact),
        "ops": dict(graph.histogram()),
        "delegates": {name: report.as_dict() for name, report in reports.items()},
    }
    if log is not None:
        found["edgetpu_compiler"] = {**log.as_dict(), "compared": edgetpu_compiler.compare(log, reports["edgetpu"])}
    return json.dumps(found, indent=2)
