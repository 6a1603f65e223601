"""What a delegate takes of a graph, for a person and as JSON."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portraitseg.export.delegates.graph import Op

NAMED = 4
"""Layers of one kind that are named before "and so many more"."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """Why an op runs, or may run, on the CPU."""

    reason: str
    change: str
    """What to do about it."""
    source: str
    certain: bool = True
    whole_file: bool = False
    """For its sake the delegate refuses the file."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One delegate and one graph."""

    delegate: str
    title: str
    ops: tuple[Op, ...]
    """Those that run with each picture."""
    taken: tuple[int, ...]
    """Indices of those that the delegate runs, unknown ones among them."""
    left: Mapping[int, Left]
    """Index -> why the CPU runs it."""
    unknown: Mapping[int, Left]
    """Index -> why it may be left; counted as taken."""
    parts: int | None
    """Parts of the graph that the delegate runs; None where that is not known."""
    cut: int | None
    """Parts that it could run: into so many the other ops cut the graph."""
    refused: str = ""
    """Why the delegate refuses the whole file."""
    ends: frozenset[int] = frozenset()
    """Of `left`, those that only convert the picture or the mask at the graph's ends, and so cut nothing."""
    most_parts: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing would fall back to the CPU, as far as that is known."""
        return len(self.taken) + len(self.ends) == len(self.ops) and self.parts in (1, None)

    @property
    def stranded(self) -> Counter[str]:
        """Op -> how often the delegate has it, but in parts of the graph that are not given to it."""
        return Counter(op.name for op in self.ops if op.index not in self.taken and op.index not in self.left)

    def summary(self) -> str:
        """The verdict in a line."""
        if self.refused:
            return f"refuses the file: {self.refused}"
        unknown = f", unknown for {len(self.unknown)} of them" if self.unknown else ""
        of = f"{self.parts} of " if self.parts != self.cut else ""
        parts = "" if self.parts is None or not self.taken else f", in {of}{self.cut} {'part' if self.cut == 1 else 'parts'}"
        return f"{len(self.taken)} of {len(self.ops)} ops{parts}{unknown}"

    def lines(self) -> list[str]:
        """The verdict, then what is left and why, with the remedy."""
        lines = [f"{self.title}: {self.summary()}"]
        for found, ops in [*_by_reason(self.ops, self.left), *_by_reason(self.ops, self.unknown)]:
            word = "left" if found.certain else "unknown"
            lines += [f"  {word}: {_kinds(ops)}: {found.reason}", f"      in {_layers(ops)}"]
            lines += [f"      change: {found.change}", f"      source: {found.source}"]
        if self.stranded and not self.refused:
            most = f" (it takes {self.most_parts} at the most)" if self.most_parts else ""
            lines.append(f"  cut off: {_histogram(self.stranded)}: in parts that the ops above separate{most}")
        return [*lines, *(f"  note: {note}" for note in self.notes)]

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        rows = [(found, ops) for reasons in (self.left, self.unknown) for found, ops in _by_reason(self.ops, reasons)]
        names = {op.index: op.name for op in self.ops}
        return {
            "whole": self.whole, "refused": self.refused, "ops": len(self.ops), "parts": self.parts, "cut": self.cut,
            "taken": dict(Counter(names[index] for index in self.taken)), "cut_off": dict(self.stranded),
            "reasons": [
                {"ops": dict(Counter(op.name for op in ops)), "layers": [op.layer for op in ops], "indices": [op.index for op in ops],
                 "known": found.certain, "reason": found.reason, "change": found.change, "source": found.source}
                for found, ops in rows
            ],
            "notes": list(self.notes),
        }  # fmt: skip


def _by_reason(ops: tuple[Op, ...], reasons: Mapping[int, Left]) -> list[tuple[Left, list[Op]]]:
    groups: dict[Left, list[Op]] = {}
    for op in ops:
        if op.index in reasons:
            groups.setdefault(reasons[op.index], []).append(op)
    return list(groups.items())


def _kinds(ops: list[Op]) -> str:
    return _histogram(Counter(op.name for op in ops))


def _layers(ops: list[Op]) -> str:
    names = list(dict.fromkeys(op.layer for op in ops))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _histogram(ops: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(ops.items(), key=lambda item: (-item[1], item[0])))
