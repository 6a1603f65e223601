"""MobileNetV4-Conv-Small (Qin 2024, arXiv:2404.10518): universal inverted bottlenecks of two optional depthwise convolutions.

keras.applications has no such net, so the layer names are our own, and weights come from training alone. Padding is "same", as in the
TensorFlow original (timm pads symmetrically). `wm` scales every width but the stem's, which is scaled up alone.
"""

from typing import NamedTuple

from tf_keras import layers

from portraitseg.layers import KerasTensor, conv, depthwise, divisible, norm, relu


class Block(NamedTuple):
    """A universal inverted bottleneck; a kernel of 0: no such depthwise convolution."""

    start: int
    """Kernel of the depthwise convolution before the expansion."""
    middle: int
    """Kernel of the one behind it, which has the stride."""
    expansion: int
    channels: int
    stride: int


STEM = 32  # 1/2, tap
# channels of the strided 3x3 convolution, of the 1x1 convolution behind it
FUSED = ((32, 32), (96, 64))  # 1/4 and 1/8, both tapped
#        start, middle, expansion, channels, stride
STAGES = (
    (
        Block(5, 5, 3, 96, 2),  # 1/16
        Block(0, 3, 2, 96, 1),
        Block(0, 3, 2, 96, 1),
        Block(0, 3, 2, 96, 1),
        Block(0, 3, 2, 96, 1),
        Block(3, 0, 4, 96, 1),  # tap
    ),
    (
        Block(3, 3, 6, 128, 2),  # 1/32
        Block(5, 5, 4, 128, 1),
        Block(0, 5, 4, 128, 1),
        Block(0, 5, 3, 128, 1),
        Block(0, 3, 4, 128, 1),
        Block(0, 3, 4, 128, 1),
    ),
)
HEAD = 960  # 1/32, the last features

TAPS = ("enc_stem_relu", "enc_stage1_project_relu", "enc_stage2_project_relu", "enc_stage3_block5_add")
"""Skips at 1/2, 1/4, 1/8, 1/16: each the last tensor of its resolution."""
LAST = "enc_head_relu"


def mobilenet_v4_conv_small(x: KerasTensor, *, wm: float) -> dict[str, KerasTensor]:
    """Build the encoder on `x` (N,H,W,C), H and W multiples of 32.

    Args:
        x: the input.
        wm: width multiplier.

    Returns:
        The taps by layer name.
    """
    taps: dict[str, KerasTensor] = {}
    x = taps[TAPS[0]] = _conv(x, divisible(STEM * max(wm, 1)), 3, stride=2, name="enc_stem")  # N,H/2,W/2,32
    for number, (wide, channels) in enumerate(FUSED, 1):
        name = f"enc_stage{number}"
        x = _conv(x, divisible(wide * wm), 3, stride=2, name=f"{name}_fused")
        x = taps[f"{name}_project_relu"] = _conv(x, divisible(channels * wm), 1, name=f"{name}_project")
    for number, blocks in enumerate(STAGES, 3):
        for index, block in enumerate(blocks):
            x = _block(x, block, divisible(block.channels * wm), name=f"enc_stage{number}_block{index}")
        taps[f"enc_stage{number}_block{len(blocks) - 1}_add"] = x
    taps[LAST] = _conv(x, divisible(HEAD * wm), 1, name="enc_head")  # N,H/32,W/32,960
    return taps


def _conv(x: KerasTensor, filters: int, kernel: int, *, stride: int = 1, name: str) -> KerasTensor:
    x = conv(x, filters, kernel, stride=stride, bias=False, name=name)
    return relu(norm(x, name=f"{name}_BN"), name=f"{name}_relu")


def _depthwise(x: KerasTensor, kernel: int, *, stride: int = 1, name: str) -> KerasTensor:
    return norm(depthwise(x, kernel, stride=stride, bias=False, name=name), name=f"{name}_BN")


def _block(x: KerasTensor, block: Block, filters: int, *, name: str) -> KerasTensor:
    """Depthwise, expand, depthwise, project; added to its input where the shapes agree."""
    shortcut, channels = x, x.shape[-1]
    if block.start:
        x = _depthwise(x, block.start, stride=1 if block.middle else block.stride, name=f"{name}_start")
    x = _conv(x, divisible(channels * block.expansion), 1, name=f"{name}_expand")  # N,h,w,t*C
    if block.middle:
        x = _depthwise(x, block.middle, stride=block.stride, name=f"{name}_middle")  # N,h/stride,w/stride,t*C
        x = relu(x, name=f"{name}_middle_relu")
    x = conv(x, filters, 1, bias=False, name=f"{name}_project")  # N,h/stride,w/stride,F
    x = norm(x, name=f"{name}_project_BN")
    if block.stride == 1 and channels == filters:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x
