"""MobileNetV3 (Howard 2019, arXiv:1905.02244), small and large, layer for layer as in keras.applications.

| builder | squeeze-and-excite, hard-swish, 5x5 | widths that `wm` scales |
|---|---|---|
| `mobilenet_v3_small`, `mobilenet_v3_large` | no: "minimalistic" | all but the stem's, as keras.applications |
| `mobilenet_v3_small_full`, `mobilenet_v3_large_full` | yes | the same |
| `mobilenet_v3_small_thin` | no | the projections alone; biases everywhere (the published munet_mnv3) |

Layer names are keras.applications' with the prefix `enc_` and `/` written `_`, so that its weights can be copied. Strided convolutions
pad "same" instead of padding first: for even sizes, the only ones that we build, the result is equal.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import tf_keras as keras
from tf_keras import layers

from portraitseg.layers import HardSigmoid, KerasTensor, conv, depthwise, divisible, hard_swish, norm, relu


class Block(NamedTuple):
    """An inverted residual; the last three hold for the full net, a minimalistic one has 3x3, no gate, ReLU."""

    expanded: int
    channels: int
    stride: int
    kernel: int
    gate: bool
    """Squeeze-and-excite."""
    swish: bool
    """Hard-swish instead of ReLU."""


SMALL = (
    Block(16, 16, 2, 3, True, False),  # 1/4; without an expanding convolution
    Block(72, 24, 2, 3, False, False),  # 1/8, tap before the stride
    Block(88, 24, 1, 3, False, False),
    Block(96, 40, 2, 5, True, True),  # 1/16, tap before the stride
    Block(240, 40, 1, 5, True, True),
    Block(240, 40, 1, 5, True, True),
    Block(120, 48, 1, 5, True, True),
    Block(144, 48, 1, 5, True, True),
    Block(288, 96, 2, 5, True, True),  # 1/32, tap before the stride
    Block(576, 96, 1, 5, True, True),
    Block(576, 96, 1, 5, True, True),
)
LARGE = (
    Block(16, 16, 1, 3, False, False),  # 1/2; without an expanding convolution
    Block(64, 24, 2, 3, False, False),  # 1/4, tap before the stride
    Block(72, 24, 1, 3, False, False),
    Block(72, 40, 2, 5, True, False),  # 1/8, tap before the stride
    Block(120, 40, 1, 5, True, False),
    Block(120, 40, 1, 5, True, False),
    Block(240, 80, 2, 3, False, True),  # 1/16, tap before the stride
    Block(200, 80, 1, 3, False, True),
    Block(184, 80, 1, 3, False, True),
    Block(184, 80, 1, 3, False, True),
    Block(480, 112, 1, 3, True, True),
    Block(672, 112, 1, 3, True, True),
    Block(672, 160, 2, 5, True, True),  # 1/32, tap before the stride
    Block(960, 160, 1, 5, True, True),
    Block(960, 160, 1, 5, True, True),
)

TAPS = ("enc_Conv_relu", "enc_expanded_conv_1_expand_relu", "enc_expanded_conv_3_expand_relu", "enc_expanded_conv_8_expand_relu")
"""Skips of the minimalistic small net at 1/2, 1/4, 1/8, 1/16."""
TAPS_FULL = (
    "enc_Conv_hard_swish",
    "enc_expanded_conv_1_expand_relu",
    "enc_expanded_conv_3_expand_hard_swish",
    "enc_expanded_conv_8_expand_hard_swish",
)
TAPS_LARGE = (
    "enc_expanded_conv_1_expand_relu",
    "enc_expanded_conv_3_expand_relu",
    "enc_expanded_conv_6_expand_relu",
    "enc_expanded_conv_12_expand_relu",
)
TAPS_LARGE_FULL = (
    "enc_expanded_conv_1_expand_relu",
    "enc_expanded_conv_3_expand_relu",
    "enc_expanded_conv_6_expand_hard_swish",
    "enc_expanded_conv_12_expand_hard_swish",
)
LINEAR = "enc_Conv_1_BatchNorm"
"""The last 1x1 convolution's output, before its activation."""
LAST = "enc_Conv_1_relu"
LAST_FULL = "enc_Conv_1_hard_swish"


def mobilenet_v3_small(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the minimalistic small encoder on `x` (N,H,W,C), H and W multiples of 32; tensors by layer name."""
    return _encoder(x, _minimalistic(_scaled(SMALL, wm)))


def mobilenet_v3_small_full(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the small encoder on `x` (N,H,W,C), H and W multiples of 32; tensors by layer name."""
    return _encoder(x, _scaled(SMALL, wm), swish=True)


def mobilenet_v3_large(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the minimalistic large encoder on `x` (N,H,W,C), H and W multiples of 32; tensors by layer name."""
    return _encoder(x, _minimalistic(_scaled(LARGE, wm)))


def mobilenet_v3_large_full(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the large encoder on `x` (N,H,W,C), H and W multiples of 32; tensors by layer name."""
    return _encoder(x, _scaled(LARGE, wm), swish=True)


def mobilenet_v3_small_thin(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the minimalistic small encoder whose projections alone are scaled; tensors by layer name."""
    blocks = [block._replace(channels=int(block.channels * wm)) for block in SMALL]
    return _encoder(x, _minimalistic(blocks), last=576, bias=True)


def _scaled(blocks: Iterable[Block], wm: float) -> list[Block]:
    """Every width times `wm`, the expanded ones as multiples of the block's input."""
    rows, unscaled, scaled = [], 16, 16
    for block in blocks:
        expanded, channels = divisible(scaled * block.expanded / unscaled), divisible(block.channels * wm)
        rows.append(block._replace(expanded=expanded, channels=channels))
        unscaled, scaled = block.channels, channels
    return rows


def _minimalistic(blocks: Iterable[Block]) -> list[Block]:
    return [block._replace(kernel=3, gate=False, swish=False) for block in blocks]


def _encoder(
    x: KerasTensor, blocks: list[Block], *, last: int | None = None, bias: bool = False, swish: bool = False
) -> dict[str, KerasTensor]:
    taps: dict[str, KerasTensor] = {}
    x = conv(x, 16, 3, stride=2, bias=bias, name="enc_Conv")
    x = _act(norm(x, name="enc_Conv_BatchNorm"), swish, taps, name="enc_Conv")  # N,H/2,W/2,16
    for number, block in enumerate(blocks):
        x = _block(x, block, number, taps, bias=bias)
    x = conv(x, last or divisible(6 * blocks[-1].channels), 1, bias=bias, name="enc_Conv_1")  # N,H/32,W/32,6*C
    x = taps[LINEAR] = norm(x, name=LINEAR)
    _act(x, swish, taps, name="enc_Conv_1")
    return taps


def _block(x: KerasTensor, block: Block, number: int, taps: dict[str, KerasTensor], *, bias: bool) -> KerasTensor:
    """Expand, depthwise, gate, project; added to its input where the shapes agree."""
    name = f"enc_expanded_conv_{number}" if number else "enc_expanded_conv"
    shortcut, channels = x, x.shape[-1]
    if number:
        x = conv(x, block.expanded, 1, bias=bias, name=f"{name}_expand")
        x = _act(norm(x, name=f"{name}_expand_BatchNorm"), block.swish, taps, name=f"{name}_expand")  # N,h,w,E
    x = depthwise(x, block.kernel, stride=block.stride, bias=bias, name=f"{name}_depthwise")  # N,h/stride,w/stride,E
    x = _act(norm(x, name=f"{name}_depthwise_BatchNorm"), block.swish, taps, name=f"{name}_depthwise")
    if block.gate:
        x = _squeeze_excite(x, name=f"{name}_squeeze_excite")
    x = conv(x, block.channels, 1, bias=bias, name=f"{name}_project")  # N,h/stride,w/stride,F
    x = norm(x, name=f"{name}_project_BatchNorm")
    if block.stride == 1 and channels == block.channels:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _act(x: KerasTensor, swish: bool, taps: dict[str, KerasTensor], *, name: str) -> KerasTensor:
    """Hard-swish or ReLU, kept as a tap by its layer's name."""
    name = f"{name}_hard_swish" if swish else f"{name}_relu"
    taps[name] = hard_swish(x, name=name) if swish else relu(x, name=name)
    return taps[name]


def _squeeze_excite(x: KerasTensor, *, name: str) -> KerasTensor:
    """Weigh each channel by what the whole map holds (Hu 2017, arXiv:1709.01507): (N,h,w,C) -> (N,h,w,C)."""
    channels = x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_AvgPool")(x)  # N,1,1,C
    gate = relu(conv(gate, divisible(channels / 4), 1, name=f"{name}_Conv"), name=f"{name}_Relu")  # N,1,1,C/4
    gate = HardSigmoid(name=f"{name}_hard_sigmoid")(conv(gate, channels, 1, name=f"{name}_Conv_1"))  # N,1,1,C
    return layers.Multiply(name=f"{name}_Mul")([x, gate])


def imagenet(name: str, *, wm: float, minimalistic: bool) -> Any:
    """keras.applications' MobileNetV3Small or MobileNetV3Large (`name`) with ImageNet weights."""
    return getattr(keras.applications, name)(
        input_shape=(224, 224, 3), alpha=wm, minimalistic=minimalistic, include_top=False, include_preprocessing=False
    )
