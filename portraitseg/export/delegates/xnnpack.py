"""XNNPACK: not by rules, but by what LiteRT's interpreter on this machine gives it. Rules only explain."""

from portraitseg.export import tflite_report
from portraitseg.export.delegates.graph import EDGETPU_OP, Graph, Op
from portraitseg.export.delegates.report import Left, Report
from portraitseg.export.delegates.rules import COMPILED

SOURCE = "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/delegates/xnnpack/README.md"
DECISIONS = f"tried with LiteRT 2.3, docs/decisions.md; {SOURCE}"
TITLE = "XNNPACK (CPU)"

CPU = "export with --target cpu (the default), which says the same in operations that it takes"
# op -> what to do where it is left in int8
INSTEAD = {
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "PRELU", "LEAKY_RELU", "HARD_SWISH", "AVERAGE_POOL_2D", "RESIZE_NEAREST_NEIGHBOR",
                     "CONCATENATION"), CPU),
    "SOFTMAX": "one class, whose prob is a sigmoid's (--classes 1), or float I/O",
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), "write it with ReLU and a subtraction"),
    "DEQUANTIZE": "export with --io uint8", "SHAPE": "export with batch 1 and a fixed size", "ARG_MAX": "threshold the prob",
}  # fmt: skip

OTHER = "use another operation, or --quant fp16"
FLOAT_ALONE = {
    "RELU", "RELU6", "RELU_N1_TO_1", "PRELU", "HARD_SWISH", "SOFTMAX", "GELU", "AVERAGE_POOL_2D", "RESIZE_NEAREST_NEIGHBOR", "MAXIMUM",
    "MINIMUM",
}  # fmt: skip
"""What stands alone; a ReLU that the converter fuses into the op before is taken."""

ENDS = Left(reason="converts the picture or the mask at the graph's end, which cuts nothing", change="nothing", source=SOURCE)
NONE: frozenset[int] = frozenset()


def report(graph: Graph) -> Report:
    """Ask the interpreter; where it cannot open the file, none of it is taken."""
    custom = [op for op in graph.ops if op.custom]
    if custom:
        return _report(graph, {op.index: _custom(custom[0]) for op in graph.running}, parts=0)
    found = tflite_report.delegated(graph.content)
    if found is None:
        silent = Left(reason="this LiteRT does not list its nodes", change="LiteRT 2.3", source=SOURCE, certain=False)
        return _report(graph, {}, parts=None, unknown={op.index: silent for op in graph.running})
    outside = [op for op in graph.running if op.index in found.outside]
    ends = {op.index for op in outside if op.name in ("QUANTIZE", "DEQUANTIZE") and graph.at_end(op)}
    left = {op.index: ENDS if op.index in ends else _why(op) for op in outside}
    return _report(graph, left, parts=found.parts, ends=frozenset(ends))


def _report(
    graph: Graph, left: dict[int, Left], *, parts: int | None, unknown: dict[int, Left] | None = None, ends: frozenset[int] = NONE
) -> Report:
    taken = tuple(op.index for op in graph.running if op.index not in left)
    return Report(
        delegate="xnnpack", title=TITLE, ops=graph.running, taken=taken, left=left, unknown=unknown or {}, parts=parts, cut=parts, ends=ends
    )


def _custom(op: Op) -> Left:
    if op.name == EDGETPU_OP:
        return COMPILED
    return Left(reason=f"LiteRT has no op {op.name} and does not open the file", change="convert again without custom ops", source=SOURCE)


def _why(op: Op) -> Left:
    types = {tensor.dtype for tensor in (*op.running, *op.outputs)}
    if any(-1 in tensor.shape for tensor in op.tensors):
        return Left(reason="has a tensor whose size is known at run time alone", change=INSTEAD["SHAPE"], source=SOURCE)
    if op.name in FLOAT_ALONE and types <= {"int8", "uint8"}:
        return Left(reason="taken in floating point alone", change=INSTEAD.get(op.name, OTHER), source=DECISIONS)
    reason = f"not taken with these shapes and scales, on {', '.join(sorted(types))}"
    return Left(reason=reason, change=INSTEAD.get(op.name, OTHER), source=SOURCE)
