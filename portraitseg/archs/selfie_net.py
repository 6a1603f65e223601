"""selfie_net: the net of MediaPipe's selfie segmentation, as its published file has it.

A MobileNetV3-small (arXiv:1905.02244) cut off at 1/16, its gates sigmoids; LR-ASPP's head (the same paper); a decoder that weighs each
skip by what skip and decoder hold together, adds it and refines. `--init FILE` starts from Google's file, whole:
`mediapipe_selfie_segmentation_256x256.tflite` (Apache-2.0).

The file's last operator, a custom one of MediaPipe's, is an ordinary transposed convolution here. Batch normalisation, which the file has
folded, stands behind each convolution but the gates' and the last.
"""

from tf_keras import layers

from portraitseg.encoders.mobilenet_v3 import Block
from portraitseg.layers import KerasTensor, conv, deconv, depthwise, divisible, hard_swish, norm, relu, upsample

STEM = 16
BLOCKS = (
    Block(16, 16, 2, 3, True, False),  # 1/4, tapped
    Block(72, 24, 2, 3, False, False),  # 1/8
    Block(88, 24, 1, 3, False, False),  # tapped
    Block(96, 32, 2, 5, True, True),  # 1/16
    Block(128, 32, 1, 5, True, True),
    Block(128, 32, 1, 5, True, True),
    Block(96, 32, 1, 5, True, True),
    Block(96, 32, 1, 5, True, True),
)
TAPPED = (0, 2)
HEAD = 128
"""Channels of LR-ASPP."""


def selfie_net(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> KerasTensor:
    """Inverted residuals to 1/16, LR-ASPP, gated skips at 1/8, 1/4 and 1/2.

    Args:
        x: (N,H,W,C) in [0,1], H and W multiples of 16.
        wm: width multiplier of every channel count.
        classes: channels of the logits.
        resize: how maps are doubled, a name of RESIZES.

    Returns:
        Logits (N,H,W,classes).
    """
    x = _conv(x, divisible(STEM * wm), 3, stride=2, name="enc_stem")
    x = hard_swish(x, name="enc_stem_hard_swish")  # N,H/2,W/2,16
    skips = [x]
    for number, block in enumerate(BLOCKS):
        scaled = block._replace(expanded=divisible(block.expanded * wm), channels=divisible(block.channels * wm))
        x = _block(x, scaled, name=f"enc_block{number}")
        if number in TAPPED:
            skips.append(x)
    x = _lr_aspp(x, divisible(HEAD * wm), name="dec4")  # N,H/16,W/16,128
    for level, skip in zip((3, 2, 1), reversed(skips), strict=True):
        x = _up(x, skip, resize, name=f"dec{level}")  # N,H/2^level,W/2^level,S
    return deconv(x, classes, 2, name="head_up")  # N,H,W,classes


def _block(x: KerasTensor, block: Block, *, name: str) -> KerasTensor:
    """Expand, depthwise, gate, project; added to its input where the shapes agree: (N,h,w,C) -> (N,h/stride,w/stride,channels)."""
    shortcut, act = x, hard_swish if block.swish else relu
    x = act(_conv(x, block.expanded, name=f"{name}_expand"), name=f"{name}_expand_act")  # N,h,w,E
    x = depthwise(x, block.kernel, stride=block.stride, bias=False, name=f"{name}_depthwise")  # N,h/stride,w/stride,E
    x = act(norm(x, name=f"{name}_depthwise_BN"), name=f"{name}_depthwise_act")
    if block.gate:
        gate = _gate(x, divisible(block.expanded / 4), name=f"{name}_gate")
        x = layers.Multiply(name=f"{name}_gated")([x, gate])
    x = _conv(x, block.channels, name=f"{name}_project")  # N,h/stride,w/stride,F
    return layers.Add(name=f"{name}_add")([x, shortcut]) if x.shape == shortcut.shape else x


def _lr_aspp(x: KerasTensor, channels: int, *, name: str) -> KerasTensor:
    """1x1 convolution, each channel weighed by what the whole map holds: (N,h,w,C) -> (N,h,w,channels)."""
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_gate_mean")(x)  # N,1,1,C
    x = relu(_conv(x, channels, name=f"{name}_conv"), name=f"{name}_relu")
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(conv(mean, channels, 1, name=f"{name}_gate_conv"))  # N,1,1,channels
    return layers.Multiply(name=f"{name}_gated")([x, gate])


def _up(x: KerasTensor, skip: KerasTensor, resize: str, *, name: str) -> KerasTensor:
    """Double, narrow, add the gated skip, refine: (N,h,w,C), (N,2h,2w,S) -> (N,2h,2w,S)."""
    channels = skip.shape[-1]
    x = _conv(upsample(x, resize=resize, name=f"{name}_up"), channels, name=f"{name}_narrow")  # N,2h,2w,S
    gate = _gate(layers.Add(name=f"{name}_both")([skip, x]), channels, name=f"{name}_gate")
    x = layers.Add(name=f"{name}_add")([layers.Multiply(name=f"{name}_gated")([skip, gate]), x])
    x = relu(_conv(x, channels, name=f"{name}_conv"), name=f"{name}_relu")
    fine = norm(depthwise(x, bias=False, name=f"{name}_depthwise"), name=f"{name}_depthwise_BN")
    return layers.Add(name=f"{name}_sum")([x, relu(fine, name=f"{name}_depthwise_relu")])


def _gate(x: KerasTensor, narrow: int, *, name: str) -> KerasTensor:
    """A weight in [0,1] for each channel, from the whole map (Hu 2017, arXiv:1709.01507): (N,h,w,C) -> (N,1,1,C)."""
    channels = x.shape[-1]
    x = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    x = relu(conv(x, narrow, 1, name=f"{name}_narrow"), name=f"{name}_relu")  # N,1,1,narrow
    return layers.Activation("sigmoid", name=name)(conv(x, channels, 1, name=f"{name}_widen"))


def _conv(x: KerasTensor, filters: int, kernel: int = 1, *, stride: int = 1, name: str) -> KerasTensor:
    return norm(conv(x, filters, kernel, stride=stride, bias=False, name=name), name=f"{name}_BN")
