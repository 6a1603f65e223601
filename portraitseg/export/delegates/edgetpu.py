"""Coral's Edge TPU, as its compiler's last version (16, of 2021) is documented and as its users found it.

The published table of operations: https://coral.ai/docs/edgetpu/models-intro/#supported-operations. Axis repeats it with its limitations
for the same chip in its cameras. What the compiler logs beyond that is in the threads of google-coral/edgetpu.
"""

import numpy as np

from portraitseg.export.delegates import checks
from portraitseg.export.delegates.graph import EDGETPU_OP, Op
from portraitseg.export.delegates.rules import ANY, Delegate, Rule

CORAL = "https://coral.ai/docs/edgetpu/models-intro/#supported-operations"
MODELS = "https://coral.ai/docs/edgetpu/models-intro/#model-requirements"
AXIS = "https://developer.axis.com/computer-vision/on-device/system-on-chip/artpec-7/supported-ops/"
ISSUE = "https://github.com/google-coral/edgetpu/issues/"

OPS = frozenset((
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS", "FULLY_CONNECTED", "L2_NORMALIZATION",
    "LOGISTIC", "LSTM", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "PACK", "PAD", "PRELU", "QUANTIZE", "REDUCE_MAX",
    "REDUCE_MIN", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX",
    "SPACE_TO_DEPTH", "SPLIT", "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
    EDGETPU_OP,
))  # fmt: skip
RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
BYTES = ("int8", "uint8")
MAPPED_RESIZE = 128
"""Up to so many pixels a side a resize was seen to be mapped,"""
UNMAPPED_RESIZE = 512
"""and from so many on it was not (google-coral/edgetpu#31); between them nothing is published."""
LARGEST_SOFTMAX = 16_000
NEWEST_DECONV = 3
DECONV_SIZE = 256
"""Above so many pixels a side a transposed convolution in the middle of a U-Net was not mapped (google-coral/edgetpu#686)."""


def _types(op: Op) -> str:
    if op.name == EDGETPU_OP:
        return ""
    found = {tensor.dtype for tensor in (*op.running, *op.outputs)} - set(BYTES)
    return f"works on {', '.join(sorted(found))}, the Edge TPU on 8-bit integers alone" if found else ""


def _changing_size(op: Op) -> str:
    return "has a tensor whose size is only known at run time" if any(-1 in tensor.shape for tensor in op.tensors) else ""


def _rank(op: Op) -> str:
    """Only the innermost three dimensions may be larger than 1."""
    found = [tensor.shape for tensor in (*op.running, *op.outputs) if any(side > 1 for side in tensor.shape[:-3])]
    return f"has a tensor of shape {list(found[0])}; only the innermost three dimensions may exceed 1" if found else ""


def _uneven_dilation(op: Op) -> str:
    factors = (op.option("dilationHFactor", 1), op.option("dilationWFactor", 1))
    return f"is dilated by {factors[0]} and {factors[1]}" if factors[0] != factors[1] else ""


def _joined_constant(op: Op) -> str:
    constants = [tensor for tensor in op.inputs if tensor and tensor.constant]
    if not constants:
        return ""
    zeros = all(not tensor.zero_points or set(tensor.content or b"") == {tensor.zero_points[0] % 256} for tensor in constants)
    return "" if len(op.inputs) == 2 and zeros else "joins a constant that is not zero, or more than one tensor with a constant"


def _axes(op: Op) -> list[int]:
    """The dimensions that a reduction or padding works on."""
    numbers = op.inputs[1].numbers() if len(op.inputs) > 1 and op.inputs[1] else None
    rank = len(op.inputs[0].shape) if op.inputs and op.inputs[0] else 0
    return [] if numbers is None or not rank else [int(axis) % rank for axis in numbers]


def _reduced(op: Op) -> str:
    shape, axes = (op.inputs[0].shape if op.inputs[0] else ()), _axes(op)
    if len(shape) == 4 and 0 in axes:
        return "reduces over the batch"
    deep = op.name == "MEAN" and len(shape) - 1 in axes and shape[-1] % 4
    return f"averages over {shape[-1]} channels, which is no multiple of 4" if deep else ""


def _padded_batch(op: Op) -> str:
    numbers = op.inputs[1].numbers() if len(op.inputs) > 1 and op.inputs[1] else None
    return "pads the batch" if numbers is not None and len(numbers) == 8 and np.any(numbers[:2]) else ""


def _on_batch(op: Op) -> str:
    if op.name == "PACK":
        return "" if op.option("axis") else "packs along the batch"
    axis = op.inputs[0].numbers() if op.inputs[0] else None
    return "splits the batch" if axis is not None and len(axis) and not axis[0] else ""


def _slopes(op: Op) -> str:
    shape = op.inputs[1].shape if op.inputs[1] else ()
    return f"its slopes have the shape {list(shape)}, one for each pixel" if any(side > 1 for side in shape[:-1]) else ""


def _dense(op: Op) -> str:
    if op.option("weightsFormat"):
        return "its weights are not in the default format"
    many = sum(side > 1 for side in op.outputs[0].shape) > 1
    return f"gives {list(op.outputs[0].shape)}, only one dimension may exceed 1" if many else ""


def _side(op: Op) -> int:
    return max(op.outputs[0].shape[1:3], default=0)


def _large_resize(op: Op) -> str:
    return (
        f"gives a picture of {_side(op)} px; of {UNMAPPED_RESIZE} px it was not mapped, for its loss of precision"
        if _side(op) >= UNMAPPED_RESIZE
        else ""
    )


def _doubtful_resize(op: Op) -> str:
    doubtful = f"gives a picture of {_side(op)} px: known are {MAPPED_RESIZE} px, mapped, and {UNMAPPED_RESIZE} px, not mapped"
    return doubtful if _side(op) > MAPPED_RESIZE else ""


def _large_softmax(op: Op) -> str:
    count = op.inputs[0].elements if op.inputs[0] else 0
    return f"of {count:,} numbers, at most {LARGEST_SOFTMAX:,} are taken" if count > LARGEST_SOFTMAX else ""


def _strided(op: Op) -> str:
    steps = op.inputs[3].numbers() if len(op.inputs) > 3 and op.inputs[3] else None
    masks = [name for name in ("ellipsisMask", "newAxisMask") if op.option(name)]
    return f"uses {', '.join(masks)}" if masks else "takes every other element" if steps is not None and set(steps.tolist()) != {1} else ""


def _version(op: Op) -> str:
    if op.version <= NEWEST_DECONV:
        return ""
    return f"version {op.version} of the op (an activation is fused into it), and the compiler reads at most {NEWEST_DECONV}"


def _large_deconv(op: Op) -> str:
    return f"gives a picture of {_side(op)} px; in a U-Net of 512 px some such were not mapped" if _side(op) > DECONV_SIZE else ""


def _small_kernel(op: Op) -> str:
    kernel, stride = (op.inputs[1].shape[1:3] if op.inputs[1] else ()), (op.option("strideH", 1), op.option("strideW", 1))
    smaller = any(side < step for side, step in zip(kernel, stride, strict=True))
    return f"its kernel {list(kernel)} is smaller than its stride {list(stride)}; such a one crashed a compiler of 2020" if smaller else ""


BYTES_ALONE = "export with --quant int8 and --io uint8 (the default)"
SMALLER = "build the net for a smaller picture (--size), or enlarge by transposed convolutions (--resize transpose, --decoder deconv)"

RULES = (
    Rule(ops=ANY, wrong=_changing_size, change="export with batch 1 and a fixed size (export.py always does)", source=MODELS),
    Rule(ops=ANY, wrong=_types, change=BYTES_ALONE, source=MODELS),
    Rule(ops=ANY, wrong=_rank, change="reshape so that at most three dimensions exceed 1; batch 1", source=MODELS),
    Rule(ops=("AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"), wrong=checks.fused, source=AXIS,
         change="export with --target edgetpu, which fuses nothing there"),
    Rule(ops=("CONV_2D", "DEPTHWISE_CONV_2D"), wrong=_uneven_dilation, change="the same dilation both ways", source=AXIS),
    Rule(ops=("CONCATENATION",), wrong=_joined_constant, change="join what is computed", source=AXIS),
    Rule(ops=("FULLY_CONNECTED",), wrong=_dense, change="a 1x1 convolution", source=AXIS),
    Rule(ops=("MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM"), wrong=_reduced, change="reduce over height and width", source=AXIS),
    Rule(ops=("PAD",), wrong=_padded_batch, change="pad height and width", source=AXIS),
    Rule(ops=("PACK", "SPLIT"), wrong=_on_batch, change="along another dimension", source=AXIS),
    Rule(ops=("PRELU",), wrong=_slopes, change="slopes shared over the picture (Keras: PReLU(shared_axes=[1, 2]))", source=AXIS),
    Rule(ops=("RESHAPE",), certain=False, change="leave it out where the shape is that of a picture already", source=AXIS,
         wrong=lambda op: f"of {op.outputs[0].elements:,} numbers; certain reshapes of large tensors might not be mapped"
         if op.outputs[0].elements > LARGEST_SOFTMAX else ""),
    Rule(ops=RESIZES, wrong=checks.both_flags, change="half-pixel centres alone", source="https://github.com/google-ai-edge/litert-torch/issues/158"),
    Rule(ops=RESIZES, wrong=_large_resize, change=SMALLER, source=f"{ISSUE}31"),
    Rule(ops=RESIZES, wrong=_doubtful_resize, change=SMALLER, source=f"{ISSUE}31", certain=False),
    Rule(ops=RESIZES, wrong=lambda op: "has align_corners, which was asked and not answered" if op.option("alignCorners") else "",
         change="half-pixel centres (--resize half_pixel)", source=f"{ISSUE}206", certain=False),
    Rule(ops=("SOFTMAX",), wrong=_large_softmax, change="one class, whose prob is a sigmoid's (--classes 1)", source=CORAL),
    Rule(ops=("STRIDED_SLICE",), wrong=_strided, change="slice with steps of 1", source=AXIS),
    Rule(ops=("TRANSPOSE_CONV",), wrong=_version, change="export with --target edgetpu, which parts the activation from it",
         source=f"{ISSUE}845", whole_file=True),
    Rule(ops=("TRANSPOSE_CONV",), wrong=_small_kernel, change="a kernel as large as the stride", source=f"{ISSUE}64", certain=False),
    Rule(ops=("TRANSPOSE_CONV",), wrong=_large_deconv, change="build the net for a smaller picture (--size)", source=f"{ISSUE}686",
         certain=False),
)  # fmt: skip
INSTEAD = {
    "HARD_SWISH": "an encoder with ReLU6: --arch munet_mnv2, or --encoder mobilenet_v3_small, not _full",
    "LEAKY_RELU": "ReLU, or PReLU with slopes shared over the picture (slim_net: --act prelu)",
    "DEPTH_TO_SPACE": "export with --target edgetpu, which leaves transposed convolutions as they are",
    "DEQUANTIZE": BYTES_ALONE,
    "GELU": "ReLU6",
    "ELU": "ReLU6",
    "SHAPE": "export with batch 1 and a fixed size",
    "ARG_MAX": "threshold the prob on the CPU, or export one class",
    "SPLIT_V": "split into equal parts",
}


def delegate(_: int) -> Delegate:
    """The rules; the Android API level does not matter."""
    return Delegate(
        name="edgetpu", title="Edge TPU (compiler 16)", ops=OPS, source=CORAL, rules=RULES, instead=INSTEAD, most_parts=1, which="first",
        notes=("the compiler maps the part up to the first op that it refuses and leaves all behind it to the CPU "
               "(https://coral.ai/docs/edgetpu/models-intro/#compiling); resizes with half-pixel centres need compiler 16 "
               f"({ISSUE}396)",),
    )  # fmt: skip
