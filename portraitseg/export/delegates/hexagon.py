"""TensorFlow Lite's Hexagon delegate, for the DSPs of Snapdragon chips before QNN (Hexagon 680 to 690)."""

from portraitseg.export.delegates import checks
from portraitseg.export.delegates.graph import Op
from portraitseg.export.delegates.rules import ANY, Delegate, Rule

SOURCE = "https://github.com/tensorflow/tensorflow/blob/1fa9397d662252891825964d87a774aa591cd3db/tensorflow/lite/delegates/hexagon/utils.cc"
BYTES = ("uint8", "int8")
INTS = ("int32",)
ACTIVE = ("ADD", "MUL", "SUB")
ALONE = ("HARD_SWISH", "LOGISTIC", "NEG", "QUANTIZE", "RELU", "RELU6", "SOFTMAX", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "TANH",
         "L2_NORMALIZATION", "MAX_POOL_2D", "AVERAGE_POOL_2D")  # fmt: skip
CONVS = ("CONV_2D", "DEPTHWISE_CONV_2D")
SIZED = ("MEAN", "MIRROR_PAD", "PAD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE", "ARG_MAX", "ARG_MIN")
# newest version of each op that the delegate knows; 1 where nothing is said
VERSIONS = {
    **dict.fromkeys((*ALONE, *SIZED, *ACTIVE, "CONCATENATION", "MAXIMUM", "MINIMUM", "PACK", "SLICE", "SPLIT", "STRIDED_SLICE",
                     "TRANSPOSE_CONV"), 2),
    **dict.fromkeys(("HARD_SWISH", "NEG", "DEPTH_TO_SPACE", "RESHAPE"), 1), **dict.fromkeys(CONVS, 3), "FULLY_CONNECTED": 4,
}  # fmt: skip
OPS = frozenset(VERSIONS)
RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
WIDEST_RESIZE = 65
INT8 = "export with --quant int8"


def _wide_resize(op: Op) -> str:
    height, width = op.outputs[0].shape[1:3]
    return f"gives {height}x{width}, at most {WIDEST_RESIZE}x{WIDEST_RESIZE} is taken" if max(height, width) > WIDEST_RESIZE else ""


def _stride(op: Op) -> str:
    stride = max(op.option("strideH", 1), op.option("strideW", 1))
    return f"stride {stride}, at most 3 is taken" if stride > 3 else ""


def _dilation(op: Op) -> str:
    dilated = max(op.option("dilationHFactor", 1), op.option("dilationWFactor", 1)) > 1
    stride = max(op.option("strideH", 1), op.option("strideW", 1))
    if dilated and (op.name == "CONV_2D" or stride > 1):
        return "is dilated"
    return ""


def _multiplier(op: Op) -> str:
    channels = op.inputs[0].shape[-1] if op.inputs[0] else 0
    return "multiplies several channels" if op.option("depthMultiplier", 1) != 1 and channels != 1 else ""


RULES = (
    Rule(ops=("TRANSPOSE_CONV",), wrong=checks.version_above(2), change="transposed convolutions without bias and activation",
         source=SOURCE),
    Rule(ops=RESIZES, wrong=checks.version_above(2), change="transposed convolutions (--resize transpose), no half-pixel centres",
         source=SOURCE),
    Rule(ops=ANY, wrong=checks.version_above(VERSIONS), change="use another operation", source=SOURCE),
    Rule(ops=("RELU",), wrong=lambda op: "" if op.version == 2 else f"version {op.version}, only 2 is taken", change=INT8, source=SOURCE),
    Rule(ops=ANY, wrong=checks.rank_above(4), change="at most 4 dimensions", source=SOURCE),
    Rule(ops=ALONE, wrong=checks.input_types_but(BYTES), change=INT8, source=SOURCE),
    Rule(ops=(*ACTIVE, "MAXIMUM", "MINIMUM"), wrong=checks.first(checks.input_types_but(BYTES, BYTES), checks.fused_but_relu), change=INT8,
         source=SOURCE),
    Rule(ops=CONVS, wrong=checks.first(checks.input_types_but(BYTES, BYTES, INTS), checks.fused_but_relu), change=INT8, source=SOURCE),
    Rule(ops=CONVS, wrong=checks.first(_stride, _dilation), change="strides up to 3, no dilation", source=SOURCE),
    Rule(ops=("DEPTHWISE_CONV_2D",), wrong=_multiplier, change="a depth multiplier of 1", source=SOURCE),
    Rule(ops=("TRANSPOSE_CONV",), wrong=checks.first(checks.input_types_but(INTS, BYTES, BYTES), _stride),
         change="a transposed convolution without bias, and int8", source=SOURCE),
    Rule(ops=("MAX_POOL_2D", "AVERAGE_POOL_2D"), wrong=checks.fused, change="an activation of its own", source=SOURCE),
    Rule(ops=SIZED, wrong=checks.first(checks.input_types_but(BYTES, INTS), checks.not_constant(1)), change=INT8, source=SOURCE),
    Rule(ops=("RESIZE_BILINEAR",), wrong=_wide_resize, change="transposed convolutions (--resize transpose)", source=SOURCE),
    Rule(ops=("CONCATENATION", "PACK", "RESHAPE", "SLICE", "STRIDED_SLICE", "FULLY_CONNECTED"), wrong=checks.running_types_but(BYTES),
         change=INT8, source=SOURCE),
)  # fmt: skip


def delegate(_: int) -> Delegate:
    """The rules; the Android API level does not matter."""
    return Delegate(
        name="hexagon", title="Hexagon delegate (Snapdragon DSPs 680 to 690)", ops=OPS, source=SOURCE, rules=RULES,
        instead={"PRELU": "ReLU (slim_net: --act relu)", "LEAKY_RELU": "ReLU", "DEQUANTIZE": "export with --io uint8"},
    )  # fmt: skip
