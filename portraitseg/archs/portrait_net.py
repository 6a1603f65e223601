"""PortraitNet: MobileNetV2 with plain ReLUs, a decoder of transition blocks with added skips, a boundary head while training.

Sources: PortraitNet (Zhang 2019, doi:10.1016/j.cag.2019.03.007), code by dong-x16; MobileNetV2 (Sandler 2018, arXiv:1801.04381);
4-channel video form (the prior as fourth channel) from the same code. Kept: layers, widths and counts: no convolution has a bias, and
the first inverted residual has a 1x1 convolution before its depthwise one although it widens nothing. The boundary head (`aux`
"boundary") is dropped when the net ships.

Input: BGR, x = (byte - (103.94, 116.78, 123.68)) * 0.017, `INPUT` below; the prior is not scaled.

Deviations, and traps of the original:

* One logit is the default; the published counts have two channels (`classes=2`), in the boundary head too.
* Strided 3x3 convolutions pad as TensorFlow does (below and to the right for even sizes) instead of on both sides, as keras.applications'
  MobileNetV2 does, whose layer names the encoder has. Batch normalisation has its epsilon, 1e-3.
* The original letterboxes at evaluation, with a border of grey 128; here the card's `fit` says how a picture is made to fit, and a
  letterbox's border is the mean, hence 0.
* Its grouped transposed convolutions are frozen, that is, a bilinear resize by another name: `up="grouped"` lets them learn,
  `up="bilinear"` is the resize. The latter aligned corners in the PyTorch of its day (0.3): `resize="align_corners"` is that function; the
  default, "half_pixel", agrees with what the transposed convolutions start from, all but the rim, which these let fade.

A fourth channel brings 3x3x32 = 288 parameters, the stem being 32 wide (the only width that gives the published counts).
"""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.archs.spec import Heads
from portraitseg.card import InputSpec
from portraitseg.encoders.mobilenet_v2 import mobilenet_v2
from portraitseg.layers import KerasTensor, conv, depthwise, divisible, norm, relu
from portraitseg.resizing import DepthwiseConv2DTranspose, bilinear_kernel, upsample

INPUT = InputSpec(mean=(103.94, 116.78, 123.68), std=(1 / 0.017, 1 / 0.017, 1 / 0.017), order="bgr")
UPS = ("deconv", "grouped", "bilinear")

# channels, skip that is added behind the doubling
DECODER = (
    (96, "enc_block_12_add"),  # 1/16
    (32, "enc_block_5_add"),  # 1/8
    (24, "enc_block_2_add"),  # 1/4
    (16, ""),  # 1/2
    (8, ""),  # 1/1
)


@keras.utils.register_keras_serializable(package="portraitseg")
class Bilinear(keras.initializers.Initializer):  # type: ignore[misc]  # its base has no types
    """Start of a transposed 4x4 convolution of stride 2: each channel is doubled bilinearly, none reaches another."""

    def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> tf.Tensor:
        """(4,4,C,C): the bilinear kernel on the diagonal, 0 elsewhere."""
        return tf.constant(bilinear_kernel()[..., None, None] * np.eye(shape[-1]), dtype or tf.float32)


def portrait_net(x: KerasTensor, *, wm: float, classes: int = 1, up: str = "deconv", resize: str = "half_pixel") -> Heads:
    """MobileNetV2 encoder, five transition blocks, each doubled.

    Args:
        x: (N,H,W,C) in the range of `INPUT`, H and W multiples of 32.
        wm: width multiplier of every channel count, rounded to multiples of 8.
        classes: channels of the logits and of the boundary.
        up: how maps are doubled: "deconv", a transposed 4x4 convolution that starts as a bilinear resize; "grouped", the same channel by
            channel; "bilinear", a resize.
        resize: how "bilinear" resizes, a name of RESIZES.

    Returns:
        Logits (N,H,W,classes), and for training alone "boundary", of the same shape.
    """
    taps = mobilenet_v2(x, wm=wm, limit=None, expand_first=True)
    x = taps["enc_block_16_project_BN"]  # N,H/32,W/32,320
    for level, (channels, skip) in zip((4, 3, 2, 1, 0), DECODER, strict=True):
        name = f"dec{level}"
        x = _transition(x, divisible(channels * wm), name=name)
        x = _double(x, up, resize, name=f"{name}_up")  # N,H/2^level,W/2^level,C
        if skip:
            x = layers.Add(name=f"{name}_add")([x, taps[skip]])
    boundary = conv(x, classes, 3, bias=False, name="head_boundary")  # N,H,W,classes
    return Heads(conv(x, classes, 3, bias=False, name="head_conv"), {"boundary": boundary})


def _transition(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """Two separable convolutions beside a shortcut, added: (N,h,w,C) -> (N,h,w,filters)."""
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = norm(conv(x, filters, 1, bias=False, name=f"{name}_shortcut"), name=f"{name}_shortcut_BN")
    for step in (1, 2):
        x = norm(depthwise(x, bias=False, name=f"{name}_depthwise{step}"), name=f"{name}_depthwise{step}_BN")
        x = relu(x, name=f"{name}_depthwise{step}_relu")
        x = norm(conv(x, filters, 1, bias=False, name=f"{name}_project{step}"), name=f"{name}_project{step}_BN")
        if step == 1:
            x = relu(x, name=f"{name}_project1_relu")
    x = layers.Add(name=f"{name}_sum")([x, shortcut])
    return relu(x, name=f"{name}_relu")


def _double(x: KerasTensor, up: str, resize: str, *, name: str) -> KerasTensor:
    """Enlarge by 2: (N,h,w,C) -> (N,2h,2w,C)."""
    if up == "deconv":
        return layers.Conv2DTranspose(x.shape[-1], 4, 2, padding="same", use_bias=False, kernel_initializer=Bilinear(), name=name)(x)
    if up == "grouped":
        return DepthwiseConv2DTranspose(name=name)(x)
    return upsample(x, resize=resize, name=name)
