"""TensorFlow Lite's GPU delegate (OpenCL, else OpenGL ES 3.1), as its own compatibility check judges ops."""

from portraitseg.export.delegates import checks
from portraitseg.export.delegates.graph import Op
from portraitseg.export.delegates.rules import ANY, Delegate, Rule

TREE = "https://github.com/tensorflow/tensorflow/blob/057f8c812fb07bc803592c058b8b6e8569b4734f/tensorflow/lite"
CHECK = f"{TREE}/tools/versioning/gpu_compatibility.cc"
BUILDER = f"{TREE}/delegates/gpu/common/model_builder.cc"

UNARY = (
    "ABS", "COS", "ELU", "EXP", "FLOOR", "GELU", "LOG", "LOGISTIC", "NEG", "RSQRT", "SIGN", "SIN", "SQRT", "SQUARE", "TANH",
)  # fmt: skip
COMPARE = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL", "LOGICAL_AND")
BINARY = ("DIV", "FLOOR_DIV", "FLOOR_MOD", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "SUB", *COMPARE)
CONVS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
PADS = ("PAD", "PADV2", "MIRROR_PAD")
REDUCES = ("MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM")
ONE_INPUT = (
    "DEPTH_TO_SPACE", "HARD_SWISH", "QUANTIZE", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_DEPTH", "TILE",
    "TRANSPOSE", "AVERAGE_POOL_2D", "MAX_POOL_2D", *PADS, *REDUCES,
)  # fmt: skip
CUSTOM = ("Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D", "Resampler")
OPS = frozenset((
    "ADD", "ADD_N", "BATCH_MATMUL", "CAST", "CONCATENATION", "CUMSUM", "DENSIFY", "DEQUANTIZE", "FULLY_CONNECTED", "GATHER",
    "LEAKY_RELU", "LSTM", "MUL", "ONE_HOT", "PACK", "PRELU", "RELU", "RELU6", "RELU_N1_TO_1", "SELECT", "SELECT_V2", "SLICE",
    "SOFTMAX", "SPLIT", "SPLIT_V", "STRIDED_SLICE", *UNARY, *BINARY, *CONVS, *ONE_INPUT, *CUSTOM,
))  # fmt: skip

OTHER_TYPES = {"CAST", "GATHER", "ONE_HOT", "SELECT", "SELECT_V2", *COMPARE}
NUMBERS = ("float32", "float16", "int8", "uint8")
STATIC = "export with batch 1 and a fixed size, so that the converter needs no arithmetic on shapes"


def _types(op: Op) -> str:
    return "" if op.name in OTHER_TYPES else checks.running_types_but(NUMBERS)(op)


def _two_inputs(op: Op) -> str:
    return "" if len(op.inputs) == 2 else f"has {len(op.inputs)} inputs, it takes 2"


def _broadcast_both(op: Op) -> str:
    if len(op.inputs) != 2 or None in op.inputs:
        return f"has {len(op.inputs)} inputs, it takes 2"
    a, b = (tensor.shape if tensor else () for tensor in op.inputs)
    both = len(a) == len(b) and any(x < y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))
    return f"each of {list(a)} and {list(b)} is smaller than the other in one dimension" if both else ""


def _multiplied(op: Op) -> str:
    source = op.inputs[0]
    channels = source.shape[-1] if source and source.shape else 0
    multiplier = op.option("depthMultiplier", 1)
    return f"depth multiplier {multiplier} with {channels} input channels" if multiplier != 1 and channels != 1 else ""


def _two_operands(op: Op) -> str:
    constants = sum(tensor is not None and tensor.constant for tensor in op.inputs)
    pair = (len(op.running), constants) in ((2, 0), (1, 1)) and len(op.outputs) == 1
    return "" if pair else f"has {len(op.running)} computed and {constants} constant inputs; allowed: 2, or 1 and 1"


def _padding(op: Op) -> str:
    shape = op.inputs[1].shape if len(op.inputs) > 1 and op.inputs[1] else ()
    if op.name == "MIRROR_PAD" and op.option("mode"):
        return "mirrors the rim too, only REFLECT is known"
    return "" if shape in ((3, 2), (4, 2)) else f"its padding has the shape {list(shape)}"


def _sliced(op: Op) -> str:
    masks = [name for name in ("ellipsisMask", "newAxisMask", "shrinkAxisMask") if op.option(name)]
    rank = len(op.inputs[0].shape) if op.inputs and op.inputs[0] else 0
    return f"uses {', '.join(masks)}" if masks else "" if rank in (3, 4) else f"slices a tensor of {rank} dimensions, allowed are 3 and 4"


def _axes(op: Op) -> str:
    axes = op.inputs[1] if len(op.inputs) > 1 else None
    return "" if axes and axes.constant and axes.dtype == "int32" else "its axes are no constant of int32"


RULES = (
    Rule(ops=ANY, wrong=_types, change="export with --quant fp16, fp32 or int8", source=BUILDER),
    Rule(ops=("ADD",), wrong=_two_inputs, change="add two at a time", source=CHECK),
    Rule(ops=("ADD_N",), wrong=_two_inputs, change="add two at a time", source=CHECK),
    Rule(ops=("MUL",), wrong=_broadcast_both, change="write it as a convolution", source=CHECK),
    Rule(ops=CONVS, wrong=lambda op: "its weights are computed" if len(op.running) > 2 else "", change=STATIC, source=CHECK),
    Rule(ops=("DEPTHWISE_CONV_2D",), wrong=_multiplied, change="a depth multiplier of 1 and a 1x1 convolution", source=CHECK),
    Rule(ops=("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), wrong=lambda op: "its block is 1" if op.option("blockSize") < 2 else "",
         change="leave it out, it does nothing", source=CHECK),
    Rule(ops=("DEQUANTIZE",), wrong=lambda op: "of int16" if any(tensor.dtype == "int16" for tensor in op.running) else "",
         change="export with --quant int8", source=CHECK),
    Rule(ops=("FULLY_CONNECTED",), wrong=lambda op: "its weights are shuffled" if op.option("weightsFormat") else "",
         change="convert again for the default weight format", source=CHECK),
    Rule(ops=REDUCES, wrong=_axes, change=STATIC, source=CHECK),
    Rule(ops=("RESIZE_BILINEAR",), wrong=checks.both_flags, change="half-pixel centres without align_corners", source=CHECK),
    Rule(ops=("SOFTMAX",), wrong=lambda op: f"beta is {op.option('beta'):g}, only 1 is known" if op.option("beta", 1.0) != 1 else "",
         change="multiply before it", source=CHECK),
    Rule(ops=("SLICE", "STRIDED_SLICE"), wrong=_sliced, change="slice without dropping or adding axes", source=CHECK),
    Rule(ops=PADS, wrong=_padding, change="pad 3 or 4 dimensions with constants", source=CHECK),
    Rule(ops=UNARY, wrong=checks.inputs_but(running=1, constants=0), change=STATIC, source=CHECK),
    Rule(ops=ONE_INPUT, wrong=checks.inputs_but(running=1), change=STATIC, source=CHECK),
    Rule(ops=BINARY, wrong=_two_operands, change=STATIC, source=CHECK),
    Rule(ops=("SPLIT", "SPLIT_V"), wrong=lambda op: "known with OpenCL, not with OpenGL", change="slice, or see to OpenCL", certain=False,
         source=f"{TREE}/delegates/gpu/delegate.cc"),
)  # fmt: skip


def delegate(_: int) -> Delegate:
    """The rules; the Android API level does not matter."""
    return Delegate(
        name="gpu", title="GPU delegate (OpenCL, OpenGL)", ops=OPS, source=CHECK, rules=RULES, most_parts=1,
        instead={
            "SHAPE": STATIC,
            "ARG_MAX": "threshold the prob, or export one class",
        },
        notes=("int8 files run in floating point there (8-bit ops are allowed by default), so fp16 is the precision to give",
               "of a graph in several parts the largest alone is taken by default (max_delegated_partitions = 1, delegate_options.h)"),
    )  # fmt: skip
