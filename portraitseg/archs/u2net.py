"""U2-Net (Qin 2020, arXiv:2005.09007): a U whose every stage is a small U of its own (RSU), with six side outputs and their fusion.

Source: xuebinqin/U-2-Net (`U2NET`, `U2NETP`). Kept: every layer, width and bias; 44,009,869 and 1,131,181 are the trainable parameters,
as PyTorch counts them, without the statistics of the batch normalisation.

Changed, and why: pictures are divided by 255 before ImageNet's mean and std; the original divides each picture by its own maximum, so
that a dark picture is another input than in every other net here. Pooling need not round up, because sizes are multiples of 32. The
upsampling is `resize`, with half-pixel centres as in PyTorch. The nets give logits; the loss adds the sigmoid.
"""

from collections.abc import Mapping
from typing import NamedTuple

from tf_keras import layers

from portraitseg.archs.spec import Heads
from portraitseg.layers import KerasTensor, conv, divisible, norm, relu, upsample


class Stage(NamedTuple):
    """A residual U block (RSU)."""

    height: int
    """Its convolutions on the way down, the one at the bottom included: the paper's L; 0: RSU-4F, dilated instead of pooled."""
    middle: int
    """Channels inside."""
    channels: int
    """Channels of its output."""


FULL = {
    "enc_1": Stage(7, 32, 64),  # 1/1
    "enc_2": Stage(6, 32, 128),  # 1/2
    "enc_3": Stage(5, 64, 256),  # 1/4
    "enc_4": Stage(4, 128, 512),  # 1/8
    "enc_5": Stage(0, 256, 512),  # 1/16
    "enc_6": Stage(0, 256, 512),  # 1/32, side output 6
    "dec5": Stage(0, 256, 512),  # 1/16, side output 5
    "dec4": Stage(4, 128, 256),  # 1/8, side output 4
    "dec3": Stage(5, 64, 128),  # 1/4, side output 3
    "dec2": Stage(6, 32, 64),  # 1/2, side output 2
    "dec1": Stage(7, 16, 64),  # 1/1, side output 1
}
SMALL = {name: Stage(stage.height, 16, 64) for name, stage in FULL.items()}
DILATIONS = (1, 2, 4, 8)
"""Of RSU-4F on the way down; on the way up 4, 2, 1."""


def u2net(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> Heads:
    """The full net, 44.0 M parameters; see `u2netp`."""
    return _u2net(x, FULL, wm, classes, resize)


def u2netp(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> Heads:
    """The small net, 1.1 M parameters.

    Args:
        x: (N,H,W,C) in card.IMAGENET's range, H and W multiples of 32.
        wm: width multiplier of every channel count.
        classes: channels of the logits and of each side output.
        resize: how all maps are enlarged, a name of RESIZES.

    Returns:
        The fusion of the side outputs (N,H,W,classes), and the side outputs "side1" (finest) to "side6" at full size. All six are part
        of the fusion and ship with it.
    """
    return _u2net(x, SMALL, wm, classes, resize)


def _u2net(x: KerasTensor, stages: Mapping[str, Stage], wm: float, classes: int, resize: str) -> Heads:
    skips = []
    for level in range(1, 7):
        if level > 1:
            x = layers.MaxPooling2D(2, name=f"enc_{level}_pool")(x)  # N,h/2,w/2,C
        x = _rsu(x, stages[f"enc_{level}"], wm, resize, name=f"enc_{level}")
        skips.append(x)
    sides = {"side6": _side(x, 6, classes, resize)}
    for level in range(5, 0, -1):
        x = upsample(x, resize=resize, name=f"dec{level}_up")  # N,2h,2w,C
        x = layers.Concatenate(name=f"dec{level}_concat")([x, skips[level - 1]])
        x = _rsu(x, stages[f"dec{level}"], wm, resize, name=f"dec{level}")
        sides[f"side{level}"] = _side(x, level, classes, resize)
    aux = dict(sorted(sides.items()))
    fused = layers.Concatenate(name="head_concat")(list(aux.values()))  # N,H,W,6*classes
    return Heads(conv(fused, classes, 1, name="head_conv"), aux)  # N,H,W,classes


def _side(x: KerasTensor, level: int, classes: int, resize: str) -> KerasTensor:
    """Logits of one level at full size: (N,h,w,C) -> (N,H,W,classes)."""
    x = conv(x, classes, 3, name=f"head_side{level}_conv")
    return upsample(x, 2 ** (level - 1), resize=resize, name=f"head_side{level}_up")


def _rsu(x: KerasTensor, stage: Stage, wm: float, resize: str, *, name: str) -> KerasTensor:
    """Residual U block: (N,h,w,C) -> (N,h,w,channels)."""
    middle, channels = divisible(stage.middle * wm), divisible(stage.channels * wm)
    x = _conv(x, channels, name=f"{name}_in")
    y = _pooled(x, stage.height, middle, channels, resize, name=name) if stage.height else _dilated(x, middle, channels, name=name)
    return layers.Add(name=f"{name}_add")([y, x])


def _pooled(x: KerasTensor, height: int, middle: int, channels: int, resize: str, *, name: str) -> KerasTensor:
    """RSU-`height`: convolutions with a halving between them, a dilated one at the bottom, and the way back up over the skips."""
    skips: list[KerasTensor] = []
    for step in range(1, height):
        if step > 1:
            x = layers.MaxPooling2D(2, name=f"{name}_pool{step}")(x)  # N,h/2,w/2,M
        x = _conv(x, middle, name=f"{name}_down{step}")
        skips.append(x)
    x = _conv(x, middle, dilation=2, name=f"{name}_bottom")
    for step in range(height - 1, 0, -1):
        if step < height - 1:
            x = upsample(x, resize=resize, name=f"{name}_resize{step}")  # N,2h,2w,M
        x = layers.Concatenate(name=f"{name}_concat{step}")([x, skips[step - 1]])
        x = _conv(x, middle if step > 1 else channels, name=f"{name}_up{step}")
    return x  # N,h,w,channels


def _dilated(x: KerasTensor, middle: int, channels: int, *, name: str) -> KerasTensor:
    """RSU-4F: the same shape of block at one resolution, with dilations in the place of pooling."""
    skips: list[KerasTensor] = []
    for step, dilation in enumerate(DILATIONS, 1):
        x = _conv(x, middle, dilation=dilation, name=f"{name}_down{step}")
        skips.append(x)
    for step in (3, 2, 1):
        x = layers.Concatenate(name=f"{name}_concat{step}")([x, skips[step - 1]])
        x = _conv(x, middle if step > 1 else channels, dilation=DILATIONS[step - 1], name=f"{name}_up{step}")
    return x  # N,h,w,channels


def _conv(x: KerasTensor, filters: int, *, dilation: int = 1, name: str) -> KerasTensor:
    """3x3 convolution, batch normalisation (PyTorch's epsilon), ReLU: (N,h,w,C) -> (N,h,w,filters)."""
    x = conv(x, filters, 3, dilation=dilation, name=f"{name}_conv")
    return relu(norm(x, epsilon=1e-5, name=f"{name}_BN"), name=f"{name}_relu")
