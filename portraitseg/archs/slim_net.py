"""Slim-Net: a fast stem to 1/4, thin bottlenecks of dilated and separable convolutions, PReLU everywhere, no normalisation.

Sources: Portrait-Segmentation by anilsathyan7 (slim512.ipynb, 512x512), after MediaPipe's hair segmentation (Tkachenka 2019,
arXiv:1907.06740); PReLU: He 2015, arXiv:1502.01852. Kept: every layer, to the last parameter. PReLU learns one slope a channel (Keras:
shared_axes [1, 2]); the stem's convolutions pad "valid", which for kernel = stride and even sizes pads nothing.

Deviations:

* One logit is the default; the published count has two (`classes=2`).
* The original resizes with aligned corners, between convolutions that keep half-pixel centres (2x2 kernels of stride 2, max-pooling).
  So its coarse maps lie stretched over the fine ones, by up to a fourth of a coarse pixel at the rim. `resize` is "half_pixel" by default,
  as in every net here; "align_corners" gives the original's function, with the same weights.
* The separable convolutions are written as depthwise and 1x1, same parameters, same function.
* The original's loader cropped picture and mask by separate draws; nothing of that is in the net.

Int8: XNNPACK takes no PRELU. `act` trains the net with "relu", or with "leaky" (slope 0.1), which have no slopes to learn.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tf_keras import layers

from portraitseg.layers import KerasTensor, conv, deconv, depthwise, divisible, prelu, relu, separable, upsample

Act = Callable[..., KerasTensor]
"""(tensor, *, name) -> tensor."""


class Block(NamedTuple):
    """An encode block."""

    narrow: int
    """Channels of the bottleneck."""
    channels: int
    kind: str = "separable3"
    """What lies in the bottleneck: "separable3" (and a depthwise 3x3 behind it), "separable5", or "dense3" to the full width."""
    dilation: int = 1
    """Of "dense3"."""
    stride: int = 1


# fmt: off
BLOCKS = (
    Block(16, 64, stride=2),                                                                         # 1/8
    Block(16, 64), Block(16, 64),
    Block(32, 128, stride=2),                                                                        # 1/16
    Block(16, 128), Block(16, 128), Block(16, 128), Block(16, 128),
    Block(16, 128, stride=2),                                                                        # 1/32
    Block(8, 128),
    Block(8, 128, "dense3", 2), Block(8, 128, "separable5"), Block(8, 128, "dense3", 4), Block(8, 128),
    Block(8, 128, "dense3", 8), Block(8, 128), Block(8, 128, "dense3", 2), Block(8, 128, "separable5"),
    Block(8, 128, "dense3", 4), Block(8, 128), Block(8, 128, "dense3", 8), Block(4, 128, "dense3", 1),
)
# at 1/16, 1/8, 1/4: the doubling path's two bottlenecks, channels, bottleneck of the refining path
DECODER = ((8, 8, 128, 8), (8, 8, 64, 4), (4, 8, 32, 4))
# fmt: on


def slim_net(x: KerasTensor, *, wm: float, classes: int = 1, act: str = "prelu", resize: str = "half_pixel") -> KerasTensor:
    """Stem to 1/4, 22 bottlenecks to 1/32, three decode blocks to 1/4, two transposed convolutions.

    Args:
        x: (N,H,W,C) in [0,1], H and W multiples of 32.
        wm: width multiplier of every channel count.
        classes: channels of the logits.
        act: every activation: "prelu", "relu" or "leaky".
        resize: how maps are doubled, a name of RESIZES.

    Returns:
        Logits (N,H,W,classes).
    """
    activate = ACTS[act]
    x = _strided(x, _width(8, wm), name="enc_stem1")  # N,H/2,W/2,8
    x = activate(x, name="enc_stem1_act")
    x = _strided(x, _width(32, wm), name="enc_stem2")  # N,H/4,W/4,32
    x, pooled, kept = _encoder(x, wm, activate)
    for level, row in zip((4, 3, 2), DECODER, strict=True):
        x = _decode(x, pooled[level], kept.get(level), [_width(channels, wm) for channels in row], activate, resize, name=f"dec{level}")
    x = deconv(activate(x, name="dec1_act"), _width(8, wm), 2, name="dec1_up")  # N,H/2,W/2,8
    return deconv(activate(x, name="head_act"), classes, 2, name="head_up")  # N,H,W,classes


def _leaky(x: KerasTensor, *, name: str) -> KerasTensor:
    return layers.LeakyReLU(0.1, name=name)(x)


ACTS: Mapping[str, Act] = {"prelu": prelu, "relu": relu, "leaky": _leaky}


def _width(channels: int, wm: float) -> int:
    """Of so narrow a net the widths are multiples of 4."""
    return divisible(channels * wm, 4)


def _strided(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """Convolution whose 2x2 kernels do not overlap: (N,h,w,C) -> (N,h/2,w/2,filters)."""
    return layers.Conv2D(filters, 2, 2, padding="valid", kernel_initializer="he_normal", name=name)(x)


def _encoder(x: KerasTensor, wm: float, activate: Act) -> tuple[KerasTensor, dict[int, KerasTensor], dict[int, KerasTensor]]:
    """From 1/4 to 1/32.

    Returns:
        The deepest features; by the level that they are read at on the way up, the pooled inputs of the strided blocks (level: one finer
        than the map) and the activated inputs of the first block behind a stride.
    """
    pooled, kept, level = {}, {}, 2
    for number, block in enumerate(BLOCKS, 1):
        scaled = block._replace(narrow=_width(block.narrow, wm), channels=_width(block.channels, wm))
        x, activated, shortcut = _encode(x, scaled, activate, name=f"enc_block{number}")
        if block.stride == 2:
            pooled[level] = shortcut  # at 1/2^(level+1)
            level += 1
        elif BLOCKS[number - 2].stride == 2:
            kept[level] = activated  # at 1/2^level
    return x, pooled, kept


def _encode(x: KerasTensor, block: Block, activate: Act, *, name: str) -> tuple[KerasTensor, KerasTensor, KerasTensor]:
    """Bottleneck beside a shortcut, added: (N,h,w,C) -> (N,h/stride,w/stride,channels), the activated input, the pooled input."""
    x = activate(x, name=f"{name}_act")
    halved = layers.MaxPooling2D(2, name=f"{name}_pool")(x) if block.stride == 2 else x  # N,h/stride,w/stride,C
    narrow = _strided(x, block.narrow, name=f"{name}_narrow") if block.stride == 2 else conv(x, block.narrow, 1, name=f"{name}_narrow")
    y = _bottleneck(activate(narrow, name=f"{name}_narrow_act"), block, activate, name=name)
    y = conv(activate(y, name=f"{name}_widen_act"), block.channels, 1, name=f"{name}_widen")  # N,h/stride,w/stride,channels
    shortcut = halved if halved.shape[-1] == block.channels else conv(halved, block.channels, 1, name=f"{name}_shortcut")
    return layers.Add(name=f"{name}_add")([y, shortcut]), x, halved


def _bottleneck(x: KerasTensor, block: Block, activate: Act, *, name: str) -> KerasTensor:
    """The spatial convolutions of a block: (N,h,w,narrow) -> (N,h,w,narrow), of "dense3" (N,h,w,channels)."""
    if block.kind == "dense3":
        return conv(x, block.channels, 3, dilation=block.dilation, name=f"{name}_dense")
    if block.kind == "separable5":
        return separable(x, block.narrow, 5, name=f"{name}_separable")
    x = separable(x, block.narrow, name=f"{name}_separable")
    return depthwise(activate(x, name=f"{name}_depthwise_act"), name=f"{name}_depthwise")


def _decode(
    x: KerasTensor, coarse: KerasTensor, fine: KerasTensor | None, widths: list[int], activate: Act, resize: str, *, name: str
) -> KerasTensor:
    """Double by two paths, add a skip before and join another behind it, refine: (N,h,w,C) -> (N,2h,2w,channels)."""
    narrow, doubled, channels, inner = widths
    x = activate(x, name=f"{name}_act")
    y = activate(conv(x, narrow, 1, name=f"{name}_narrow"), name=f"{name}_narrow_act")
    y = activate(deconv(y, doubled, name=f"{name}_deconv"), name=f"{name}_deconv_act")  # N,2h,2w,D
    y = conv(y, channels, 1, name=f"{name}_widen")  # N,2h,2w,channels
    x = layers.Add(name=f"{name}_skip")([conv(x, channels, 1, name=f"{name}_direct"), coarse])
    x = layers.Add(name=f"{name}_sum")([upsample(x, resize=resize, name=f"{name}_up"), y])  # N,2h,2w,channels
    x = activate(x, name=f"{name}_sum_act")
    if fine is not None:
        x = layers.Concatenate(name=f"{name}_concat")([x, fine])  # N,2h,2w,2*channels
    y = activate(conv(x, inner, 1, name=f"{name}_refine1"), name=f"{name}_refine1_act")
    y = activate(conv(y, inner, 3, name=f"{name}_refine2"), name=f"{name}_refine2_act")
    y = conv(y, channels, 1, name=f"{name}_refine3")
    if fine is not None:
        x = conv(x, channels, 1, name=f"{name}_join")  # N,2h,2w,channels
    return layers.Add(name=f"{name}_add")([x, y])
