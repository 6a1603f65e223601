"""Verdicts on graphs that are known to be taken or refused, each with what made it known."""

import dataclasses
import re
from pathlib import Path
from urllib.parse import urlparse

import pytest

from portraitseg.archs import ARCHS
from portraitseg.errors import InputError
from portraitseg.export import delegates
from portraitseg.export.delegates import hexagon, nnapi
from portraitseg.export.delegates.graph import EDGETPU_OP, Graph, Op, Tensor, read
from portraitseg.export.delegates.report import Report
from portraitseg.export.delegates.rules import verdict
from tests.export.delegates import graphs


def reasons(report: Report) -> dict[str, str]:
    return {
        op.layer if "Partitioned" not in op.layer else op.name: report.left[op.index].reason for op in report.ops if op.index in report.left
    }


def edgetpu(graph: Graph) -> Report:
    return delegates.examine("edgetpu", graph)


def test_the_edge_tpu_maps_what_is_on_its_list_within_its_limits() -> None:
    """prisma_quant.tflite, of such ops, was mapped whole by the compiler; PReLU and resizes up to 128 px by its tables."""
    graph = graphs.graph(graphs.mapped)
    report = edgetpu(graph)
    assert {op.version for op in graph.ops if op.name == "TRANSPOSE_CONV"} == {3}
    assert {"PRELU", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "MAX_POOL_2D", "LOGISTIC"} <= set(graph.histogram())
    assert (report.whole, report.parts, report.unknown) == (True, 1, {})


def test_the_edge_tpu_leaves_what_it_has_not_and_all_behind_it() -> None:
    report = edgetpu(graphs.graph(graphs.unmapped))
    found = reasons(report)
    assert {op.name for op in report.ops if op.index in report.left} == {
        "PRELU", "LEAKY_RELU", "HARD_SWISH", "DEPTH_TO_SPACE", "RESIZE_BILINEAR", "SOFTMAX"
    }  # fmt: skip
    assert "one for each pixel" in found["pixel_slopes"]
    assert "512 px" in found["large"]
    assert "1,048,576 numbers" in found["classes"]
    assert found["leaky"] == found["swish"] == found["spread"] == "not among its operations"
    assert [op.name for op in report.ops if op.index in report.taken] == ["QUANTIZE", "CONV_2D"]
    assert report.stranded == {"CONV_2D": 6, "QUANTIZE": 1}
    assert not report.whole


def test_a_version_that_the_compiler_cannot_read_refuses_the_whole_file() -> None:
    """google-coral/edgetpu#845: "Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'", "Model could not be parsed"."""
    report = edgetpu(graphs.graph(graphs.fused))
    assert "version 4" in report.refused
    assert (report.taken, report.parts, report.whole) == ((), 0, False)


def test_float_tensors_keep_everything_off_the_edge_tpu() -> None:
    report = edgetpu(graphs.graph(graphs.fused, int8=False))
    assert report.taken == ()
    assert all("float32" in found.reason for found in report.left.values() if not found.whole_file)


def test_float_ends_alone_do_not_cut_the_graph_for_the_edge_tpu() -> None:
    report = edgetpu(graphs.graph(graphs.averaged, io=graphs.tf.float32))
    assert [op.name for op in report.ops if op.index in report.left] == ["QUANTIZE", "DEQUANTIZE"]
    assert len(report.taken) == len(report.ops) - 2
    assert report.parts == 1
    assert not report.whole


def test_a_batch_known_at_run_time_alone_is_refused() -> None:
    """tensorflow/tensorflow#58746: transposed convolutions bring SHAPE with them, which the GPU delegate has not."""
    graph = graphs.graph(graphs.unknown_batch)
    assert "SHAPE" in graph.histogram()
    assert edgetpu(graph).taken == ()
    assert any("only known at run time" in found.reason for found in edgetpu(graph).left.values())
    gpu = delegates.examine("gpu", graph)
    assert {op.name for op in gpu.ops if op.index in gpu.left} >= {"SHAPE"}
    assert not gpu.whole


@pytest.mark.parametrize(("side", "taken"), [(128, True), (256, None), (512, False)])
def test_resizes_are_mapped_refused_or_unknown_by_their_size(side: int, taken: bool | None) -> None:
    """google-coral/edgetpu#31: a resize to 128 px was mapped, one to 512 px was not."""
    graph = graphs.graph(graphs.enlarged)
    ops = tuple(_resized(op, side) if op.name == "RESIZE_BILINEAR" else op for op in graph.ops)
    report = edgetpu(Graph(ops, b""))
    assert (report.whole, bool(report.unknown)) == {True: (True, False), None: (True, True), False: (False, False)}[taken]


def test_a_transposed_convolution_with_a_kernel_below_its_stride_is_unknown() -> None:
    """google-coral/edgetpu#64: kernel 1x1, stride 2, "Internal compiler error"."""
    op = next(op for op in graphs.graph(graphs.enlarged).ops if op.name == "TRANSPOSE_CONV")
    weights = op.inputs[1]
    assert weights
    assert weights.shape == (4, 2, 2, 4)
    assert verdict(op, delegates.RULES["edgetpu"](30)) is None
    small = dataclasses.replace(op, inputs=(op.inputs[0], dataclasses.replace(weights, shape=(4, 1, 1, 4)), *op.inputs[2:]))
    found = verdict(small, delegates.RULES["edgetpu"](30))
    assert found
    assert not found.certain
    assert "smaller than its stride" in found.reason


def _resized(op: Op, side: int) -> Op:
    return dataclasses.replace(op, outputs=(dataclasses.replace(op.outputs[0], shape=(1, side, side, 4)),))


def test_a_resize_with_both_flags_is_refused_everywhere_but_where_nothing_is_said() -> None:
    """google-ai-edge/litert-torch#158: such a file does not load."""
    op = next(op for op in graphs.graph(graphs.enlarged).ops if op.name == "RESIZE_BILINEAR")
    both = dataclasses.replace(op, options=_Flags())
    for name in ("gpu", "edgetpu"):
        found = verdict(both, delegates.RULES[name](30))
        assert found
        assert "both" in found.reason
        assert found.certain


class _Flags:
    alignCorners = halfPixelCenters = True  # noqa: N815 - the schema's names


@pytest.mark.parametrize(("android", "left"), [(30, set()), (29, {"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "QUANTIZE"})])
def test_nnapi_takes_half_pixel_centres_from_android_11_on(android: int, left: set[str]) -> None:
    """tensorflow/tensorflow#45207; ANEURALNETWORKS_RESIZE_BILINEAR has had the flag since NNAPI 1.3."""
    report = delegates.examine("nnapi", graphs.graph(graphs.mapped), android=android)
    assert {op.name for op in report.ops if op.index in report.left} == left


def test_nnapi_before_android_10_has_no_transposed_convolution_and_no_weights_by_channel() -> None:
    report = delegates.examine("nnapi", graphs.graph(graphs.mapped), android=28)
    left = {op.name: report.left[op.index].reason for op in report.ops if op.index in report.left}
    assert "TRANSPOSE_CONV" in left
    assert "one a channel" in left["CONV_2D"]


def test_nnapi_takes_a_mean_that_keeps_its_scale_alone() -> None:
    report = delegates.examine("nnapi", graphs.graph(graphs.averaged))
    assert [op.name for op in report.ops if op.index in report.left] == ["MEAN"]
    assert report.parts == 2
    assert delegates.examine("nnapi", graphs.graph(graphs.averaged, int8=False)).whole


def test_hexagon_takes_transposed_convolutions_without_bias_alone() -> None:
    """CheckOpVersion in hexagon/utils.cc: up to version 2; a bias makes it version 3."""
    for make, version, left in ((graphs.mapped, 3, True), (graphs.enlarged, 2, False)):
        report = delegates.examine("hexagon", graphs.graph(make))
        for op in report.ops:
            if op.name == "TRANSPOSE_CONV":
                assert (op.version, op.index in report.left) == (version, left)


def test_hexagon_takes_small_resizes_alone() -> None:
    op = next(op for op in graphs.graph(graphs.enlarged).ops if op.name == "RESIZE_BILINEAR")
    small, large = (dataclasses.replace(_resized(op, side), version=2) for side in (64, 66))
    assert verdict(small, hexagon.delegate(30)) is None
    found = verdict(large, hexagon.delegate(30))
    assert found
    assert "66x66" in found.reason


def test_the_gpu_takes_the_custom_op_of_its_own() -> None:
    """Of MediaPipe's selfie segmentation, which is made for it."""
    tensor = Tensor(index=0, name="t", dtype="float32", shape=(1, 8, 8, 4), content=None, scales=(), zero_points=())
    made = dataclasses.replace(tensor, index=1)
    op = Op(index=0, name="Convolution2DTransposeBias", version=1, inputs=(tensor,), outputs=(made,), custom=True)
    assert {name for name in delegates.RULES if verdict(op, delegates.RULES[name](30)) is None} == {"gpu"}
    assert "does not open" in next(iter(delegates.examine("xnnpack", Graph((op,), b"")).left.values())).reason


def test_a_file_of_the_edge_tpus_compiler_is_known_as_such() -> None:
    tensor = Tensor(index=0, name="t", dtype="int8", shape=(1, 8, 8, 4), content=None, scales=(0.1,), zero_points=(0,))
    op = Op(index=0, name=EDGETPU_OP, version=1, inputs=(tensor,), outputs=(dataclasses.replace(tensor, index=1),), custom=True)
    reports = {name: delegates.examine(name, Graph((op,), b"")) for name in delegates.DELEGATES}
    assert {name for name, report in reports.items() if report.whole} == {"edgetpu"}
    assert all("compiler" in report.left[0].reason for name, report in reports.items() if name != "edgetpu")


def test_what_the_compiler_left_beside_its_op_runs_on_the_cpu() -> None:
    """Even an op of the Edge TPU's list: the compiler had its reason."""
    a, b, c = (
        Tensor(index=i, name=f"t{i}", dtype="int8", shape=(1, 8, 8, 4), content=None, scales=(0.1,), zero_points=(0,)) for i in range(3)
    )
    ops = (
        Op(index=0, name=EDGETPU_OP, version=1, inputs=(a,), outputs=(b,), custom=True),
        Op(index=1, name="RELU", version=2, inputs=(b,), outputs=(c,)),
    )
    report = edgetpu(Graph(ops, b""))
    assert (report.whole, report.taken, report.left[1].reason) == (False, (0,), "the Edge TPU's compiler left it to the CPU")


@pytest.mark.parametrize("name", delegates.RULES)
def test_every_rule_says_where_it_stands_and_what_to_do(name: str) -> None:
    for android in (27, nnapi.NEWEST):
        delegate = delegates.RULES[name](android)
        assert delegate.rules
        for source in (delegate.source, *(rule.source for rule in delegate.rules)):
            assert urlparse(source).scheme == "https"
        assert all(rule.change and set(rule.ops) <= delegate.ops | set(nnapi.VERSIONS) for rule in delegate.rules)
        assert not set(delegate.instead) & delegate.ops


def test_ops_of_a_damaged_file_without_their_tensors_are_left() -> None:
    for name, make in delegates.RULES.items():
        delegate = make(30)
        for kind in delegate.ops - {EDGETPU_OP}:
            op = Op(index=0, name=kind, version=1, inputs=(), outputs=())
            assert len(delegates.examine(name, Graph((op,), b"")).lines()) >= 1


def test_the_guide_says_of_every_arch_what_it_gets() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "delegates.md").read_text(encoding="utf-8")
    table = guide.partition("<!-- python benchmarks/delegates_table.py -->")[2]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(ARCHS)


def test_unknown_delegates_are_refused() -> None:
    with pytest.raises(InputError, match="choose one of xnnpack"):
        delegates.examine("coreml", graphs.graph(graphs.mapped))


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\x1c\0\0\0TFL3" + b"\xff" * 100])
def test_what_is_no_tflite_file_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="is not a"):
        read(content, "some.tflite")


def test_a_truncated_file_is_refused() -> None:
    content = graphs.graph(graphs.leaky).content
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(InputError, match="not a whole"):
            read(content[: int(part * len(content))], "some.tflite")
