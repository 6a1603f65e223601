"""Where each op of a .tflite file runs: one file of rules per delegate, each rule with its source."""

from collections.abc import Callable

from portraitseg.errors import InputError
from portraitseg.export.delegates import edgetpu, gpu, hexagon, nnapi, qnn, xnnpack
from portraitseg.export.delegates.graph import Graph
from portraitseg.export.delegates.report import Report
from portraitseg.export.delegates.rules import Delegate, judge

RULES: dict[str, Callable[[int], Delegate]] = {
    "gpu": gpu.delegate,
    "nnapi": nnapi.delegate,
    "qnn": qnn.delegate,
    "hexagon": hexagon.delegate,
    "edgetpu": edgetpu.delegate,
}
"""Delegate -> its rules for an Android API level; nnapi alone asks for it."""
DELEGATES = ("xnnpack", *RULES)


def examine(name: str, graph: Graph, *, android: int = nnapi.NEWEST) -> Report:
    """What a delegate takes of a graph.

    Args:
        name: one of DELEGATES.
        graph: as `graph.read` gives it.
        android: the phone's API level, which decides what NNAPI knows.

    Raises:
        InputError: unknown delegate.
    """
    if name == "xnnpack":
        return xnnpack.report(graph)
    if name not in RULES:
        raise InputError(f"unknown delegate {name!r}; choose one of {', '.join(DELEGATES)}")
    return judge(graph, RULES[name](android))
