"""MobileNetV2 (Sandler 2018, arXiv:1801.04381), layer for layer as in keras.applications, so that its weights can be copied.

Layer names are keras.applications' with the prefix `enc_`. Stride-2 convolutions pad "same" instead of padding first: for even
sizes, the only ones that we build, the result is equal.
"""

from typing import Any

import tf_keras as keras
from tf_keras import layers

from portraitseg.layers import KerasTensor, conv, depthwise, divisible, norm, relu

# expansion, channels, repeats, stride of the first
STAGES = (
    (1, 16, 1, 1),  # 1/2
    (6, 24, 2, 2),  # 1/4
    (6, 32, 3, 2),  # 1/8
    (6, 64, 4, 2),  # 1/16
    (6, 96, 3, 1),
    (6, 160, 3, 2),  # 1/32
    (6, 320, 1, 1),
)
TAPS = ("enc_block_1_expand_relu", "enc_block_3_expand_relu", "enc_block_6_expand_relu", "enc_block_13_expand_relu")
"""Skips at 1/2, 1/4, 1/8, 1/16: each the expanded tensor just before a strided depthwise convolution."""
LAST = "enc_block_16_project_BN"
HEAD = "enc_out_relu"
"""The classifier's features, 1280 channels."""


def mobilenet_v2(
    x: KerasTensor, *, wm: float, last_block: int = 16, head: bool = False, limit: float | None = 6, expand_first: bool = False
) -> dict[str, KerasTensor]:
    """Build the encoder on `x` (N,H,W,C), H and W multiples of 32.

    Args:
        x: the input, in [-1,1] where ImageNet weights are copied.
        wm: width multiplier of every channel count.
        last_block: number of the last inverted residual block, 16 at the most.
        head: whether the 1x1 convolution to 1280 channels follows.
        limit: of every ReLU; None for none, as in PortraitNet.
        expand_first: whether the first block has a 1x1 convolution before its depthwise one too, though it widens nothing (PortraitNet).

    Returns:
        Every block's tensors by layer name.
    """
    taps: dict[str, KerasTensor] = {}
    x = conv(x, divisible(32 * wm), 3, stride=2, bias=False, name="enc_Conv1")
    x = norm(x, name="enc_bn_Conv1")
    x = relu(x, limit=limit, name="enc_Conv1_relu")  # N,H/2,W/2,32*wm
    rows = [(t, c, s if i == 0 else 1) for t, c, n, s in STAGES for i in range(n)]
    for number, (expansion, channels, stride) in enumerate(rows[: last_block + 1]):
        expand = bool(number) or expand_first
        x = _block(x, expansion, divisible(channels * wm), stride, number, taps, limit=limit, expand=expand)
    if head:
        x = conv(x, divisible(1280 * max(wm, 1)), 1, bias=False, name="enc_Conv_1")
        x = norm(x, name="enc_Conv_1_bn")
        taps[HEAD] = relu(x, limit=limit, name=HEAD)  # N,H/32,W/32,1280
    return taps


def _block(
    x: KerasTensor,
    expansion: int,
    filters: int,
    stride: int,
    number: int,
    taps: dict[str, KerasTensor],
    *,
    limit: float | None,
    expand: bool,
) -> KerasTensor:
    """Inverted residual: expand, depthwise, project; added to its input where the shapes agree."""
    name = f"enc_block_{number}" if number else "enc_expanded_conv"
    shortcut, channels = x, x.shape[-1]
    if expand:
        x = conv(x, expansion * channels, 1, bias=False, name=f"{name}_expand")
        x = norm(x, name=f"{name}_expand_BN")
        x = taps[f"{name}_expand_relu"] = relu(x, limit=limit, name=f"{name}_expand_relu")  # N,h,w,t*C
    x = depthwise(x, stride=stride, bias=False, name=f"{name}_depthwise")  # N,h/stride,w/stride,t*C
    x = norm(x, name=f"{name}_depthwise_BN")
    x = relu(x, limit=limit, name=f"{name}_depthwise_relu")
    x = conv(x, filters, 1, bias=False, name=f"{name}_project")  # N,h/stride,w/stride,F
    x = taps[f"{name}_project_BN"] = norm(x, name=f"{name}_project_BN")
    if stride == 1 and channels == filters:
        x = taps[f"{name}_add"] = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def imagenet(*, wm: float) -> Any:
    """keras.applications' model with ImageNet weights."""
    return keras.applications.MobileNetV2(input_shape=(224, 224, 3), alpha=wm, include_top=False)
