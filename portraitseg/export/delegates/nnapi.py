"""Android's NNAPI, as TensorFlow Lite's delegate decides what to offer it; which driver takes what is published nowhere."""

from portraitseg.export.delegates import checks
from portraitseg.export.delegates.graph import Op
from portraitseg.export.delegates.rules import ANY, Delegate, Rule

SOURCE = "https://github.com/tensorflow/tensorflow/blob/acdcab508aba594419934b482957e13d4f5b2455/tensorflow/lite/delegates/nnapi/nnapi_delegate.cc"
NEWEST = 30
"""API level of Android 11 (NNAPI 1.3), above which the delegate asks for nothing more."""

# API level -> the ops that it brings
SINCE = {
    27: ("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "FLOOR",
         "FULLY_CONNECTED", "HARD_SWISH", "L2_NORMALIZATION", "L2_POOL_2D", "LOGISTIC", "MAX_POOL_2D", "MUL", "RELU", "RELU6",
         "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "SOFTMAX", "SPACE_TO_DEPTH", "TANH"),
    28: ("BATCH_TO_SPACE_ND", "DIV", "EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "MEAN", "NEG", "NOT_EQUAL", "PAD",
         "PADV2", "SELECT", "SPACE_TO_BATCH_ND", "SQUEEZE", "STRIDED_SLICE", "SUB", "TRANSPOSE"),
    29: ("ABS", "ARG_MAX", "ARG_MIN", "CAST", "EXP", "EXPAND_DIMS", "GATHER", "LEAKY_RELU", "LOG", "LOGICAL_AND", "LOGICAL_NOT",
         "LOGICAL_OR", "LOG_SOFTMAX", "MAXIMUM", "MINIMUM", "POW", "PRELU", "QUANTIZE", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN",
         "REDUCE_PROD", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SIN", "SLICE", "SPLIT", "SQRT", "SUM", "TILE", "TOPK_V2", "TRANSPOSE_CONV"),
    30: ("ELU", "FILL", "PACK"),
}  # fmt: skip
# newest version of each op that the delegate knows
VERSIONS = {
    **dict.fromkeys(("ABS", "CAST", "DIV", "ELU", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "LEAKY_RELU", "LOG", "LOGICAL_AND", "LOGICAL_NOT",
                     "LOGICAL_OR", "LOG_SOFTMAX", "L2_POOL_2D", "POW", "PRELU", "REDUCE_PROD", "RESHAPE", "RSQRT", "SIN", "SQRT", "SQUEEZE",
                     "SUM", "TILE"), 1),
    **dict.fromkeys(("ADD", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "CONCATENATION", "DEQUANTIZE", "EQUAL", "GATHER",
                     "GREATER", "GREATER_EQUAL", "L2_NORMALIZATION", "LESS", "LESS_EQUAL", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "NEG",
                     "NOT_EQUAL", "PACK", "PAD", "PADV2", "QUANTIZE", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6",
                     "RELU_N1_TO_1", "SELECT", "SLICE", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "STRIDED_SLICE", "TANH",
                     "TOPK_V2", "TRANSPOSE"), 2),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "MAXIMUM", "MINIMUM", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SPLIT", "SUB",
                     "TRANSPOSE_CONV"), 3),
    "FULLY_CONNECTED": 5,
}  # fmt: skip
RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
FLOAT_ALONE = ("ABS", "DIV", "ELU", "EXP", "L2_POOL_2D", "LOG", "LOG_SOFTMAX", "POW", "REDUCE_PROD", "RSQRT", "SIN", "SQRT", "SUM")
FLOAT_BEFORE = ("RESIZE_BILINEAR", "PAD", "MEAN", "SUB")
CONVS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
NUMBERS = ("float32", "float16", "uint8", "int8", "int32", "bool")
STATIC = "export with batch 1 and a fixed size"


def _requantized(op: Op) -> str:
    source, made = op.inputs[0], op.outputs[0]
    same = source is None or (source.scales, source.zero_points) == (made.scales, made.zero_points)
    return "" if same else "input and output have different scales"


def _corners(op: Op) -> str:
    flags = {"half_pixel_centers": op.option("halfPixelCenters"), "align_corners": op.option("alignCorners")}
    return ", ".join(f"{name} is true" for name, value in flags.items() if value)


def _per_channel(op: Op) -> str:
    kernel = op.inputs[1] if len(op.inputs) > 1 else None
    return f"its weights have {len(kernel.scales)} scales, one a channel" if kernel and len(kernel.scales) > 1 else ""


def _dilated(op: Op) -> str:
    factors = (op.option("dilationHFactor", 1), op.option("dilationWFactor", 1))
    return f"dilated by {factors[0]}x{factors[1]}" if factors != (1, 1) else ""


def _hybrid(op: Op) -> str:
    kernel = op.inputs[1] if len(op.inputs) > 1 else None
    floats = any(tensor.dtype == "float32" for tensor in op.running)
    return "weights of int8 and inputs of float" if floats and kernel and kernel.dtype == "int8" else ""


ALWAYS = (
    Rule(ops=("TRANSPOSE_CONV",), wrong=checks.version_above(VERSIONS), source=SOURCE,
         change="export with --target edgetpu, which fuses no activation into it"),
    Rule(ops=ANY, wrong=checks.version_above(VERSIONS), change="convert with an older TensorFlow, or use another operation", source=SOURCE),
    Rule(ops=ANY, wrong=checks.running_types_but(NUMBERS), change="export with --quant int8, fp16 or fp32", source=SOURCE),
    Rule(ops=FLOAT_ALONE, wrong=checks.running_types_but(("float32", "float16")), change="use another operation in int8", source=SOURCE),
    Rule(ops=("CONV_2D",), wrong=lambda op: "" if len(op.inputs) == 3 else "has no bias", change="give it a bias", source=SOURCE),
    Rule(ops=("CONCATENATION",), wrong=checks.first(checks.fused, checks.rank_above(4)), change="join at most 4 dimensions", source=SOURCE),
    Rule(ops=("MEAN",), wrong=_requantized, change="a float file, or an average pooling over the whole picture", source=SOURCE),
    Rule(ops=("RESHAPE", *RESIZES), wrong=checks.not_constant(1), change=STATIC, source=SOURCE),
    Rule(ops=("TRANSPOSE_CONV",), wrong=checks.not_constant(0, 1), change=STATIC, source=SOURCE),
    Rule(ops=("SOFTMAX", "SUB"), wrong=checks.rank_above(4), change="at most 4 dimensions", source=SOURCE),
    Rule(ops=("AVERAGE_POOL_2D",), change="pool in steps", source=SOURCE, certain=False,
         wrong=lambda op: "a window above 256 pixels is refused where no accelerator is named"
         if op.option("filterWidth") * op.option("filterHeight") > 256 and op.outputs[0].dtype != "float32" else ""),
)  # fmt: skip
BELOW = {
    30: (
        Rule(ops=RESIZES, wrong=_corners, change="transposed convolutions (--resize transpose), or Android 11", source=SOURCE),
        Rule(ops=("QUANTIZE",), wrong=lambda op: "gives int8, only uint8 is known" if op.outputs[0].dtype == "int8" else "",
             change="Android 11", source=SOURCE),
        Rule(ops=("DEQUANTIZE",), change="Android 11", source=SOURCE,
             wrong=lambda op: "of int8 with a zero point" if any(t.dtype == "int8" and any(t.zero_points) for t in op.running) else ""),
    ),
    29: (
        Rule(ops=CONVS, wrong=checks.first(_per_channel, _dilated, _hybrid), change="Android 10", source=SOURCE),
        Rule(ops=FLOAT_BEFORE, wrong=checks.running_types_but(("float32",)), change="Android 10", source=SOURCE),
    ),
}  # fmt: skip


def delegate(android: int = NEWEST) -> Delegate:
    """The rules for a phone of this API level: 27 (Android 8.1) to 30 (Android 11) and above."""
    return Delegate(
        name="nnapi", title=f"NNAPI (Android API level {android}{' and above' if android >= NEWEST else ''})", source=SOURCE,
        ops=frozenset(op for since, ops in SINCE.items() if since <= android for op in ops),
        rules=(*ALWAYS, *(rule for level, rules in BELOW.items() if android < level for rule in rules)), most_parts=3,
        instead={"SHAPE": STATIC, "SPLIT_V": "split into equal parts", "GELU": "another activation",
                 **{op: f"Android API level {since}" for since, ops in SINCE.items() if since > android for op in ops}},
        notes=("what the phone's driver then takes is unknown until it is asked; Android deprecates NNAPI from version 15 on",
               "of a graph in several parts the three largest are taken by default (max_number_delegated_partitions, nnapi_delegate.h)"),
    )  # fmt: skip
