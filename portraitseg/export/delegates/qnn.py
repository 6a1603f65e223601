"""Qualcomm's NPU by LiteRT's QNN compiler: its documented table of ops and types, each op then being asked of the SDK on the phone."""

from portraitseg.export.delegates.graph import Op
from portraitseg.export.delegates.rules import ANY, Delegate, Rule

SOURCE = "https://github.com/google-ai-edge/LiteRT/blob/a0fcf4f4a07250c025535d77e7b234f640325bac/litert/vendors/qualcomm/compiler/Qualcomm_QNN_Compiler.md"
HTP = "https://docs.qualcomm.com/doc/80-63442-50/topic/HtpOpDefSupplement.html"

OPS = frozenset((
    "ABS", "ADD", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BROADCAST_TO", "CAST", "CEIL", "CONCATENATION", "CONV_2D",
    "CONV_3D", "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "DYNAMIC_UPDATE_SLICE", "ELU",
    "EMBEDDING_LOOKUP", "EQUAL", "EXP", "FLOOR", "FLOOR_DIV", "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GELU", "GREATER", "GREATER_EQUAL",
    "HARD_SWISH", "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR",
    "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "PACK", "PAD", "PADV2", "POW",
    "PRELU", "QUANTIZE", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT", "SELECT_V2", "SIGN", "SIN", "SLICE", "SOFTMAX",
    "SPACE_TO_DEPTH", "SPLIT", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "STABLEHLO_COMPOSITE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE",
    "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK",
))  # fmt: skip
TYPES = {"bool", "int4", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"}


def _types(op: Op) -> str:
    found = {tensor.dtype for tensor in op.tensors} - TYPES
    return f"works on {', '.join(sorted(found))}, which has no QNN type" if found else ""


def _hybrid(op: Op) -> str:
    floats = any(tensor.dtype == "float32" for tensor in op.running)
    return (
        "weights of int8 and inputs of float"
        if floats and any(tensor and tensor.constant and tensor.dtype == "int8" for tensor in op.inputs)
        else ""
    )


RULES = (
    Rule(ops=ANY, wrong=_types, change="export with --quant int8, fp16 or fp32", source=SOURCE),
    Rule(ops=("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"), wrong=_hybrid, certain=False,
         change="export with --quant int8 or fp16", source=HTP),
)  # fmt: skip


def delegate(_: int) -> Delegate:
    """The rules; the Android API level does not matter."""
    return Delegate(
        name="qnn", title="QNN (Qualcomm NPU, by LiteRT's compiler)", ops=OPS, source=SOURCE, rules=RULES,
        instead={"SHAPE": "export with batch 1 and a fixed size", "SPLIT_V": "split into equal parts"},
        notes=(f"sizes and combinations of types are checked by the SDK for each chip and are unknown here; the tables: {HTP}",),
    )  # fmt: skip
