"""How a graph falls into parts when a delegate takes some of its ops and not others."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from portraitseg.export.delegates.graph import Op


@dataclass(frozen=True)
class Part:
    """Ops that run together, all of them in the delegate or all of them outside."""

    taken: bool
    ops: tuple[Op, ...]


def partition(ops: Sequence[Op], taken: Collection[int]) -> list[Part]:
    """Split as TensorFlow Lite does: each part takes every op of its kind whose inputs are there.

    Source: PartitionGraphIntoIndependentNodeSubsets in
    https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/graph_info.cc

    Args:
        ops: in the order in which they run.
        taken: indices of those that the delegate takes.

    Returns:
        The parts in the order in which they run.
    """
    waiting = {tensor.index for op in ops for tensor in op.outputs}
    taken, left, parts = set(taken), list(ops), []
    while left:
        kind, part, rest = None, [], []
        for op in left:
            ready = all(tensor.index not in waiting for tensor in op.running)
            if not ready or kind not in (None, op.index in taken):
                rest.append(op)
                continue
            kind = op.index in taken
            part.append(op)
            waiting.difference_update(tensor.index for tensor in op.outputs)
        if not part:  # a cycle, which no whole file has
            break
        parts.append(Part(bool(kind), tuple(part)))
        left = rest
    return parts
