"""Which operations a TensorFlow graph from elsewhere may have: a graph is a program, and some of TensorFlow's read, write or run things."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from portraitseg.errors import InputError

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
"""Operations that run a function of the graph's library, which is looked at too."""
PURE = """
    Abs Add AddN AddV2 ArgMax ArgMin AvgPool BatchMatMul BatchMatMulV2 BatchToSpaceND BiasAdd BroadcastTo Cast Ceil ClipByValue Concat
    ConcatV2 Const Conv2D Conv2DBackpropInput DepthToSpace DepthwiseConv2dNative Div DivNoNan Elu Equal Exp ExpandDims Fill Floor FloorDiv
    FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 GatherV2 Greater GreaterEqual Identity IdentityN LeakyRelu Less LessEqual Log
    LogSoftmax LogicalAnd LogicalNot LogicalOr MatMul Max MaxPool Maximum Mean Min Minimum MirrorPad Mul Neg NoOp Pack Pad PadV2
    PartitionedCall Placeholder PlaceholderWithDefault Pow Prod Range ReadVariableOp RealDiv Reciprocal Relu Relu6 Reshape ResizeBicubic
    ResizeBilinear ResizeNearestNeighbor ReverseV2 Round Rsqrt Select SelectV2 Selu Shape Sigmoid Size Slice Softmax Softplus
    SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall StopGradient StridedSlice Sub
    Sum Tanh Tile Transpose Unpack VarHandleOp ZerosLike
"""
ALLOWED = frozenset(PURE.split())


def refuse_unsafe(path: Path, nodes: Iterable[Any], library: Any) -> None:
    """Let through what only computes.

    Args:
        path: the file, for the message.
        nodes: a graph's (NodeDef).
        library: its functions (FunctionDefLibrary); those that the nodes call are looked at as well.

    Raises:
        InputError: there is an operation that is not in `PURE`.
    """
    functions = {function.signature.name: function.node_def for function in library.function}
    waiting, seen = list(nodes), set[str]()
    while waiting:
        node = waiting.pop()
        if node.op not in ALLOWED:
            raise InputError(
                f"{path} is not run: its node {node.name!r} is {node.op!r}, which a segmentation net does not need; allowed are operations "
                "that only compute (files and Python code stay out of reach); export the net again without it"
            )
        called = node.attr["f"].func.name if node.op in CALLS else ""
        if called and called not in seen:
            seen.add(called)
            waiting += functions.get(called, [])
