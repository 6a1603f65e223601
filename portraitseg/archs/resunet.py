"""Residual U-Net on ResNet50 with a dilated bridge and deep supervision (published as "RMBG-U2NET", which it is in name only).

Source: Mehdialmoo/RMBG-U2NET; ResNet (He 2015, arXiv:1512.03385), residual U-Net (Zhang 2017, arXiv:1711.10684). Kept: every layer,
width and bias. Corrected: its masks were not divided by 255, so that the cross-entropy ran against 0 to 255; ours are in [0,1]. It fed
BGR / 255 to a ResNet50 whose ImageNet weights expect BGR less ImageNet's mean (card.CAFFE), which ours gets. Its four outputs are one
tensor of four channels; here the finest is the logits and the other three train it alone. Their 1x1 convolutions run before the
enlargement instead of behind it: the same function, as a bilinear resize keeps sums, at up to 1/64 of the work.
"""

from tf_keras import layers

from portraitseg.archs.spec import Heads
from portraitseg.encoders import ENCODERS
from portraitseg.layers import KerasTensor, conv, divisible, norm, relu, upsample

DILATIONS = (3, 6, 9)
BRIDGE = 1024
DECODER = (512, 256, 128, 64)
"""Channels at 1/8, 1/4, 1/2 and 1/1."""


def resunet(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> Heads:
    """ResNet50 up to 1/16, three dilated convolutions side by side, four residual decoder blocks; the last skip is the picture.

    Args:
        x: (N,H,W,C) in card.CAFFE's range, H and W multiples of 32.
        wm: width multiplier of every channel count.
        classes: channels of the logits and of each side output.
        resize: how all maps are enlarged, a name of RESIZES.

    Returns:
        Logits (N,H,W,classes) of the finest block, and for training alone "side1", "side2", "side3" of those at 1/2, 1/4 and 1/8.
    """
    skips = [x, *ENCODERS["resnet50"].features(x, wm=wm)[:4]]  # 1/1, 1/2, 1/4, 1/8, 1/16
    x = _bridge(skips.pop(), divisible(BRIDGE * wm))  # N,H/16,W/16,1024
    sides = {}
    for level, channels in zip((3, 2, 1, 0), DECODER, strict=True):
        name = f"dec{level}"
        x = upsample(x, resize=resize, name=f"{name}_up")  # N,2h,2w,C
        x = layers.Concatenate(name=f"{name}_concat")([x, skips[level]])
        x = _residual(x, divisible(channels * wm), name=name)  # N,2h,2w,F
        if level:
            side = conv(x, classes, 1, name=f"head_side{level}_conv")
            sides[f"side{level}"] = upsample(side, 2**level, resize=resize, name=f"head_side{level}_up")  # N,H,W,classes
    return Heads(conv(x, classes, 1, name="head_conv"), dict(reversed(sides.items())))


def _bridge(x: KerasTensor, channels: int) -> KerasTensor:
    """Three dilated 3x3 convolutions of one map, concatenated and mixed: (N,h,w,C) -> (N,h,w,channels)."""
    views = [_conv_bn_relu(x, channels, 3, dilation=dilation, name=f"dec4_dilated{dilation}") for dilation in DILATIONS]
    return _conv_bn_relu(layers.Concatenate(name="dec4_concat")(views), channels, 1, name="dec4_mix")


def _residual(x: KerasTensor, channels: int, *, name: str) -> KerasTensor:
    """Two 3x3 convolutions beside a 1x1 shortcut, added: (N,h,w,C) -> (N,h,w,channels)."""
    shortcut = norm(conv(x, channels, 1, name=f"{name}_shortcut"), name=f"{name}_shortcut_BN")
    x = _conv_bn_relu(x, channels, 3, name=f"{name}_conv1")
    x = norm(conv(x, channels, 3, name=f"{name}_conv2"), name=f"{name}_conv2_BN")
    return relu(layers.Add(name=f"{name}_add")([x, shortcut]), name=f"{name}_relu")


def _conv_bn_relu(x: KerasTensor, channels: int, kernel: int, *, dilation: int = 1, name: str) -> KerasTensor:
    x = conv(x, channels, kernel, dilation=dilation, name=name)
    return relu(norm(x, name=f"{name}_BN"), name=f"{name}_relu")
