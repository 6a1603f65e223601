"""MobileNetV3-small, minimalistic: no squeeze-and-excite, no hard-swish, no 5x5 (Howard 2019, arXiv:1905.02244).

Two published scalings of one stage table:

* `mobilenet_v3_small`: keras.applications' (every width scaled, no biases), so that its weights can be copied.
* `mobilenet_v3_small_thin`: `wm` scales the projections alone; expansions, stem and the last 576 channels stay; biases everywhere.

Layer names are keras.applications' with the prefix `enc_` and `/` written `_`.
"""

from collections.abc import Iterable
from typing import Any

import tf_keras as keras
from tf_keras import layers

from portraitseg.layers import KerasTensor, conv, depthwise, divisible, norm, relu

# expanded channels, channels, stride
STAGES = (
    (16, 16, 2),  # 1/4; without an expanding convolution
    (72, 24, 2),  # 1/8, tap before the stride
    (88, 24, 1),
    (96, 40, 2),  # 1/16, tap before the stride
    (240, 40, 1),
    (240, 40, 1),
    (120, 48, 1),
    (144, 48, 1),
    (288, 96, 2),  # 1/32, tap before the stride
    (576, 96, 1),
    (576, 96, 1),
)
TAPS = ("enc_Conv_relu", "enc_expanded_conv_1_expand_relu", "enc_expanded_conv_3_expand_relu", "enc_expanded_conv_8_expand_relu")
"""Skips at 1/2, 1/4, 1/8, 1/16."""
LAST = "enc_Conv_1_BatchNorm"
"""The last 1x1 convolution's output, before its ReLU."""


def mobilenet_v3_small(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build keras.applications' minimalistic encoder on `x` (N,H,W,C), H and W multiples of 32; tensors by layer name."""
    rows, unscaled, scaled = [], 16, 16
    for expanded, channels, stride in STAGES:
        rows.append((divisible(scaled * expanded / unscaled), divisible(channels * wm), stride))
        unscaled, scaled = channels, rows[-1][1]
    return _encoder(x, rows, divisible(6 * scaled), bias=False)


def mobilenet_v3_small_thin(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the encoder whose projections alone are scaled; tensors by layer name."""
    rows = [(expanded, int(channels * wm), stride) for expanded, channels, stride in STAGES]
    return _encoder(x, rows, 576, bias=True)


def _encoder(x: KerasTensor, rows: Iterable[tuple[int, int, int]], last: int, *, bias: bool) -> dict[str, KerasTensor]:
    taps: dict[str, KerasTensor] = {}
    x = conv(x, 16, 3, stride=2, bias=bias, name="enc_Conv")
    x = norm(x, name="enc_Conv_BatchNorm")
    x = taps["enc_Conv_relu"] = relu(x, name="enc_Conv_relu")  # N,H/2,W/2,16
    for number, (expanded, filters, stride) in enumerate(rows):
        x = _block(x, expanded, filters, stride, number, taps, bias=bias)
    x = conv(x, last, 1, bias=bias, name="enc_Conv_1")  # N,H/32,W/32,576
    x = taps[LAST] = norm(x, name=LAST)
    return taps


def _block(
    x: KerasTensor, expanded: int, filters: int, stride: int, number: int, taps: dict[str, KerasTensor], *, bias: bool
) -> KerasTensor:
    """Expand, depthwise, project; added to its input where the shapes agree."""
    name = f"enc_expanded_conv_{number}" if number else "enc_expanded_conv"
    shortcut, channels = x, x.shape[-1]
    if number:
        x = conv(x, expanded, 1, bias=bias, name=f"{name}_expand")
        x = norm(x, name=f"{name}_expand_BatchNorm")
        x = taps[f"{name}_expand_relu"] = relu(x, name=f"{name}_expand_relu")  # N,h,w,E
    x = depthwise(x, stride=stride, bias=bias, name=f"{name}_depthwise")  # N,h/stride,w/stride,E
    x = norm(x, name=f"{name}_depthwise_BatchNorm")
    x = relu(x, name=f"{name}_depthwise_relu")
    x = conv(x, filters, 1, bias=bias, name=f"{name}_project")  # N,h/stride,w/stride,F
    x = norm(x, name=f"{name}_project_BatchNorm")
    if stride == 1 and channels == filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def imagenet_small(*, wm: float) -> Any:
    """keras.applications' model with ImageNet weights."""
    return keras.applications.MobileNetV3Small(
        input_shape=(224, 224, 3), alpha=wm, minimalistic=True, include_top=False, include_preprocessing=False
    )
