"""What a rule is, and how a graph is judged by a delegate's rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from portraitseg.export.delegates.graph import EDGETPU_OP, Graph, Op
from portraitseg.export.delegates.partition import Part, partition
from portraitseg.export.delegates.report import Left, Report

ANY: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One published constraint."""

    ops: tuple[str, ...]
    """The ops that it is about; ANY: all."""
    wrong: Callable[[Op], str]
    """What of the op breaks the rule; empty: nothing."""
    change: str
    """What to do about it."""
    source: str
    """URL of the text or of the source file."""
    certain: bool = True
    """False: what is published does not settle it."""
    whole_file: bool = False
    """One such op, and the delegate refuses the file."""


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """What is published about a delegate."""

    name: str
    title: str
    ops: frozenset[str]
    """Those that it has."""
    source: str
    """URL of the list of ops."""
    rules: tuple[Rule, ...]
    instead: Mapping[str, str] = field(default_factory=dict)
    """Op that it has not -> what to do about it."""
    most_parts: int | None = None
    """Parts of a graph that it takes at the most; None: all."""
    which: Literal["largest", "first"] = "largest"
    """Which parts those are."""
    notes: tuple[str, ...] = ()
    """What holds for every graph."""


COMPILED = Left(
    reason="the file went through the Edge TPU's compiler, whose op nothing else runs",
    change="give the file from before the compiler",
    source="https://coral.ai/docs/edgetpu/compiler/",
)

BESIDE = Left(
    reason="the Edge TPU's compiler left it to the CPU",
    change="look at the file from before the compiler, which says why",
    source="https://coral.ai/docs/edgetpu/compiler/",
)


def judge(graph: Graph, delegate: Delegate) -> Report:
    """What a delegate takes of a graph, by its rules."""
    compiled = graph.compiled and EDGETPU_OP in delegate.ops
    verdicts = {op.index: _beside(op) if compiled else verdict(op, delegate) for op in graph.running}
    left = {index: found for index, found in verdicts.items() if found and found.certain}
    parts = partition(graph.running, [op.index for op in graph.running if op.index not in left])
    kept = [part for part in parts if part.taken] if compiled else _kept(parts, delegate)
    stranded = {op.index for part in parts if part.taken and part not in kept for op in part.ops}
    refused = [op for op in graph.running if op.index in left and left[op.index].whole_file]
    taken = [] if refused else [op for op in graph.running if op.index not in left and op.index not in stranded]
    return Report(
        delegate=delegate.name, title=delegate.title, ops=graph.running,
        taken=tuple(op.index for op in taken), left=left, parts=0 if refused else len(kept), cut=sum(part.taken for part in parts),
        unknown={index: found for index, found in verdicts.items() if found and not found.certain},
        refused=left[refused[0].index].reason if refused else "", most_parts=delegate.most_parts, notes=delegate.notes,
    )  # fmt: skip


def verdict(op: Op, delegate: Delegate) -> Left | None:
    """Why an op is left, or may be left, to the CPU; None: it is taken."""
    if op.name == EDGETPU_OP and op.name not in delegate.ops:
        return COMPILED
    if op.name not in delegate.ops:
        change = delegate.instead.get(op.name, "use another operation")
        return Left(reason="not among its operations", change=change, source=delegate.source)
    broken = [(rule, _wrong(rule, op)) for rule in delegate.rules if rule.ops == ANY or op.name in rule.ops]
    found = sorted(((rule, wrong) for rule, wrong in broken if wrong), key=lambda pair: (not pair[0].whole_file, not pair[0].certain))
    if not found:
        return None
    rule, wrong = found[0]
    return Left(reason=wrong, change=rule.change, source=rule.source, certain=rule.certain, whole_file=rule.whole_file)


def _beside(op: Op) -> Left | None:
    """In a file that was compiled, the compiler's own op is all that runs on the Edge TPU."""
    return None if op.name == EDGETPU_OP else BESIDE


def _wrong(rule: Rule, op: Op) -> str:
    try:
        return rule.wrong(op)
    except (AttributeError, IndexError, TypeError, ValueError):  # of a damaged file
        return "has not the inputs, outputs or options of such an op"


def _kept(parts: list[Part], delegate: Delegate) -> list[Part]:
    taken = [part for part in parts if part.taken]
    if delegate.which == "largest":
        taken = sorted(taken, key=lambda part: -len(part.ops))
    return taken[: delegate.most_parts]
