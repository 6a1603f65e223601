"""What XNNPACK takes, held against the interpreter's own list of nodes, and the partitioning against the interpreter's."""

import pytest
from ai_edge_litert.interpreter import Interpreter

from portraitseg.export import delegates, tflite_report
from portraitseg.export.delegates.graph import Op, Tensor
from portraitseg.export.delegates.partition import partition
from tests.export.delegates import graphs


def op(index: int, takes: tuple[int, ...], gives: int) -> Op:
    def tensor(number: int) -> Tensor:
        return Tensor(index=number, name=str(number), dtype="int8", shape=(1,), content=None, scales=(), zero_points=())

    return Op(index=index, name="ADD", version=1, inputs=tuple(map(tensor, takes)), outputs=(tensor(gives),))


def test_a_part_goes_on_beside_an_op_that_is_left() -> None:
    """0 -> 1 -> 3 with 2 beside 1: with 1 outside, 2 still runs with 0, and 3, which takes both, comes after."""
    ops = [op(0, (0,), 1), op(1, (1,), 2), op(2, (1,), 3), op(3, (2, 3), 4)]
    parts = partition(ops, {0, 2, 3})
    assert [(part.taken, [one.index for one in part.ops]) for part in parts] == [(True, [0, 2]), (False, [1]), (True, [3])]


def test_an_op_left_at_the_end_cuts_nothing() -> None:
    ops = [op(0, (0,), 1), op(1, (1,), 2), op(2, (2,), 3)]
    assert [part.taken for part in partition(ops, {0, 1})] == [True, False]


@pytest.mark.parametrize("make", [graphs.lone_relus, graphs.mapped, graphs.unmapped, graphs.unknown_batch])
def test_partitions_are_those_of_the_interpreter(make: object) -> None:
    graph = graphs.graph(make)
    found = tflite_report.delegated(graph.content)
    parts = [part for part in partition(graph.running, {op.index for op in graph.running} - found.outside) if part.taken]
    assert len(parts) == found.parts


def test_lone_relus_are_named_as_what_cuts_the_int8_graph() -> None:
    """docs/decisions.md, "Which layers": a ReLU standing alone cuts it."""
    report = delegates.examine("xnnpack", graphs.graph(graphs.lone_relus))
    inside = [op for op in report.ops if op.index in report.left and op.index not in report.ends]
    assert [(op.name, op.layer) for op in inside] == [("RELU", "lone0"), ("RELU", "lone1")]
    assert report.parts == 3
    assert not report.whole
    assert "--target cpu" in "\n".join(report.lines())


def test_conversions_at_the_ends_cut_nothing() -> None:
    report = delegates.examine("xnnpack", graphs.graph(graphs.averaged))
    assert [op.name for op in report.ops if op.index in report.ends] == ["QUANTIZE", "QUANTIZE"]
    assert report.whole


def test_the_float_graph_is_taken_whole() -> None:
    graph = graphs.graph(graphs.lone_relus, int8=False)
    report = delegates.examine("xnnpack", graph)
    assert (report.whole, report.parts, len(report.taken)) == (True, 1, len(graph.running))
    interpreter = Interpreter(model_content=graph.content)
    interpreter.allocate_tensors()
    assert [node["op_name"] for node in interpreter._get_ops_details()].count("DELEGATE") == 1
