"""Prisma-Net: residual separable blocks without batch normalisation, skips added instead of concatenated.

Source: Portrait-Segmentation by anilsathyan7 (prisma_segmentation.ipynb, 256x256); separable convolutions: Chollet 2016,
arXiv:1610.02357; activation before the convolution: He 2016, arXiv:1603.05027. Kept: every layer, to the last parameter. There is no
normalisation anywhere, and no activation behind the plain, strided and transposed convolutions: a block begins with its own.

Deviations: a separable convolution is written as its two parts (depthwise without bias, 1x1 with bias: the same parameters and the same
function), so that whatever rewrites the graph sees plain convolutions; and the net ends in logits of the picture's shape, where the
original flattened its sigmoid to a vector. The original's blocks begin with a ReLU behind an addition, which no convolution can take in:
as int8 file of that graph, such lone ReLUs ran slower than float.
"""

from tf_keras import layers

from portraitseg.layers import KerasTensor, conv, deconv, divisible, relu, separable

# channels, residual blocks on the way down and on the way up
STAGES = (
    (8, 1, 3),  # 1/1, skip
    (32, 1, 3),  # 1/2, skip
    (64, 1, 3),  # 1/4, skip
    (128, 2, 3),  # 1/8, skip
    (128, 6, 0),  # 1/16
)


def prisma_net(x: KerasTensor, *, wm: float, classes: int = 1) -> KerasTensor:
    """Five levels of residual blocks down, four up.

    Args:
        x: (N,H,W,C) in [0,1], H and W multiples of 16.
        wm: width multiplier of every channel count.
        classes: channels of the logits.

    Returns:
        Logits (N,H,W,classes).
    """
    skips: list[KerasTensor] = []
    for level, (channels, blocks, _) in enumerate(STAGES):
        name = f"enc_level{level}"
        x = conv(x, divisible(channels * wm), 3, stride=2 if level else 1, name=f"{name}_conv")  # N,H/2^level,W/2^level,C
        x = _residuals(x, blocks, name=name)
        skips.append(x)
    for level in (3, 2, 1, 0):
        name, skip = f"dec{level}", skips[level]
        x = deconv(x, skip.shape[-1], name=f"{name}_up")  # N,H/2^level,W/2^level,C
        x = layers.Add(name=f"{name}_add")([x, skip])
        x = _residuals(x, STAGES[level][2], name=name)
    return deconv(x, classes, 1, stride=1, name="head_conv")  # N,H,W,classes


def _residuals(x: KerasTensor, blocks: int, *, name: str) -> KerasTensor:
    """`blocks` times: ReLU and separable convolution, twice, added to their input: (N,h,w,C) -> (N,h,w,C)."""
    for number in range(1, blocks + 1):
        shortcut, block = x, f"{name}_block{number}"
        for step in (1, 2):
            x = relu(x, name=f"{block}_relu{step}")
            x = separable(x, shortcut.shape[-1], name=f"{block}_conv{step}")
        x = layers.Add(name=f"{block}_add")([x, shortcut])
    return x
