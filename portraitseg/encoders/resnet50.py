"""ResNet50 (He 2015, arXiv:1512.03385), first version, layer for layer as in keras.applications, so that its weights can be copied.

As there, the stride is on a stage's first 1x1 convolution, every convolution has a bias, the stem pads before it, and the input is BGR
less the mean of ImageNet (card.CAFFE). Layer names are keras.applications' with the prefix `enc_`.
"""

from typing import Any

import tf_keras as keras
from tf_keras import layers

from portraitseg.layers import KerasTensor, conv, divisible, norm, relu

# stage, channels of the 3x3 convolutions (a fourth of the stage's), blocks, stride of the first
STAGES = (
    ("conv2", 64, 3, 1),  # 1/4, tap
    ("conv3", 128, 4, 2),  # 1/8, tap
    ("conv4", 256, 6, 2),  # 1/16, tap
    ("conv5", 512, 3, 2),  # 1/32
)
TAPS = ("enc_conv1_relu", "enc_conv2_block3_out", "enc_conv3_block4_out", "enc_conv4_block6_out")
"""Skips at 1/2, 1/4, 1/8, 1/16: each the last tensor of its resolution."""
LAST = "enc_conv5_block3_out"
EPSILON = 1.001e-5


def resnet50(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the encoder on `x` (N,H,W,C), H and W multiples of 32.

    Args:
        x: the input, in card.CAFFE's range where ImageNet weights are copied.
        wm: width multiplier of every channel count.

    Returns:
        Every block's output by layer name, and the stem's.
    """
    taps: dict[str, KerasTensor] = {}
    x = layers.ZeroPadding2D(3, name="enc_conv1_pad")(x)
    x = layers.Conv2D(divisible(64 * wm), 7, 2, kernel_initializer="he_normal", name="enc_conv1_conv")(x)
    x = norm(x, epsilon=EPSILON, name="enc_conv1_bn")
    x = taps["enc_conv1_relu"] = relu(x, name="enc_conv1_relu")  # N,H/2,W/2,64
    x = layers.ZeroPadding2D(1, name="enc_pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="enc_pool1_pool")(x)  # N,H/4,W/4,64
    for stage, channels, blocks, stride in STAGES:
        for number in range(1, blocks + 1):
            name = f"enc_{stage}_block{number}"
            x = taps[f"{name}_out"] = _block(x, divisible(channels * wm), stride if number == 1 else 1, number == 1, name=name)
    return taps


def _block(x: KerasTensor, filters: int, stride: int, project: bool, *, name: str) -> KerasTensor:
    """Bottleneck of 1x1, 3x3, 1x1 beside a shortcut, added: (N,h,w,C) -> (N,h/stride,w/stride,4*filters)."""
    shortcut = _conv_bn(x, 4 * filters, 1, stride=stride, name=f"{name}_0") if project else x
    x = relu(_conv_bn(x, filters, 1, stride=stride, name=f"{name}_1"), name=f"{name}_1_relu")  # N,h/stride,w/stride,F
    x = relu(_conv_bn(x, filters, 3, name=f"{name}_2"), name=f"{name}_2_relu")
    x = _conv_bn(x, 4 * filters, 1, name=f"{name}_3")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return relu(x, name=f"{name}_out")


def _conv_bn(x: KerasTensor, filters: int, kernel: int, *, stride: int = 1, name: str) -> KerasTensor:
    return norm(conv(x, filters, kernel, stride=stride, name=f"{name}_conv"), epsilon=EPSILON, name=f"{name}_bn")


def imagenet(*, wm: float) -> Any:
    """keras.applications' model with ImageNet weights.

    Raises:
        ValueError: `wm` is not 1.
    """
    if wm != 1:
        raise ValueError("there are some at wm 1.0 alone; give --wm 1, or a file: --pretrained FILE.h5")
    return keras.applications.ResNet50(input_shape=(224, 224, 3), include_top=False)
