"""What an artifact is made of, and which delegates take it."""

from collections import Counter
from pathlib import Path

from portraitseg.export import delegates
from portraitseg.export.delegates.graph import read
from portraitseg.optional import require
from portraitseg.publish.measured import Verdict


def count(path: Path) -> dict[str, int]:
    """Op -> how often, the most frequent first, of a .tflite or .onnx file."""
    if path.suffix == ".onnx":
        graph = require("onnx", extra="onnx").load(path).graph
        return dict(Counter(node.op_type for node in graph.node).most_common())
    return dict(read(path.read_bytes(), str(path)).histogram().most_common())


def verdicts(path: Path) -> dict[str, Verdict]:
    """Delegate -> what it takes of a .tflite file; nothing for others."""
    if path.suffix != ".tflite":
        return {}
    graph = read(path.read_bytes(), str(path))
    reports = {name: delegates.examine(name, graph) for name in delegates.DELEGATES}
    return {
        name: Verdict(taken=len(report.taken), ops=len(report.ops), parts=report.parts, summary=report.summary())
        for name, report in reports.items()
    }
