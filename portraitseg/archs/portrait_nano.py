"""portrait_nano: our own net, its shape chosen by measured int8 latency.

What the measurements say (one thread of an x86 CPU with VNNI, XNNPACK, see benchmarks/nano_search.py), and what the net makes of it:

* At 1/2 a dense 3x3 convolution of 16 channels costs less than a depthwise one with its 1x1, at 1/4, with 32, a third more. So the stem,
  the first stage and the detail path are dense, with all the capacity that this gives.
* From 1/8 on a depthwise 3x3 with its 1x1 takes half to a fifth of a dense one: universal inverted bottlenecks (MobileNetV4,
  arXiv:2404.10518) without the middle depthwise, so that no 3x3 runs on the expanded channels.
* A bilinear resize to full size costs more than all of the deepest stage. The mask is made at full size by a 2x2 transposed
  convolution of stride 2 with one output channel, which ships as a 1x1 convolution and DEPTH_TO_SPACE: no resize of the mask, inside or
  outside, and details of the stem reach it at 1/2. `--target plain` leaves it a TRANSPOSE_CONV.
* Nothing but convolutions, ReLU6 behind them, additions, one mean, and resizes of narrow maps: one partition in int8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tf_keras import layers

from portraitseg.archs.spec import Heads
from portraitseg.layers import KerasTensor, conv, deconv, depthwise, divisible, norm, relu, upsample


@dataclass(frozen=True, kw_only=True)
class Table:
    """The shape of one size of the net."""

    stem: int
    """Channels at 1/2."""
    stages: tuple[tuple[int, int, int, int], ...]
    """At 1/4, 1/8, 1/16, 1/32: channels, expansion, blocks, kernel of the depthwise convolution; 0: dense 3x3 blocks."""
    decoder: tuple[int, int, int]
    """Channels at 1/16, 1/8, 1/4 on the way up."""


#                  channels, expansion, blocks, kernel
SMALL = Table(stem=16, stages=((16, 1, 1, 0), (32, 2, 2, 3), (64, 2, 3, 3), (128, 2, 2, 5)), decoder=(48, 32, 16))
MEDIUM = Table(stem=16, stages=((32, 1, 1, 0), (64, 2, 2, 3), (96, 2, 2, 3), (160, 2, 3, 5)), decoder=(64, 48, 32))
LARGE = Table(stem=16, stages=((32, 1, 1, 0), (64, 3, 3, 3), (128, 3, 4, 3), (192, 2, 4, 5)), decoder=(96, 64, 32))


def portrait_nano(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel", table: Table = MEDIUM) -> Heads:
    """Strided dense stem, inverted bottlenecks, additive decoder with a detail path at 1/2.

    Args:
        x: (N,H,W,C) in [-1,1], H and W multiples of 32.
        wm: width multiplier of every channel count.
        classes: channels of the logits.
        resize: how maps at 1/32, 1/16 and 1/8 are doubled, a name of RESIZES.
        table: the size.

    Returns:
        Logits (N,H,W,classes), and for training alone "side", logits made of the features at 1/8.
    """
    x = _act(conv(x, divisible(table.stem * wm), 3, stride=2, bias=False, name="enc_stem"))  # N,H/2,W/2,C
    features = [x]
    for level, (channels, expansion, blocks, kernel) in enumerate(table.stages, 2):
        x = _down(x, divisible(channels * wm), name=f"enc_{level}_down")  # N,H/2^level,W/2^level,C
        for number in range(1, blocks + 1):
            x = _block(x, expansion, kernel, name=f"enc_{level}_block{number}")
        features.append(x)
    features[-1] = _context(x, name="enc_5_context")
    widths = [divisible(channels * wm) for channels in (*table.decoder, table.stem)]
    return decode(features, widths, classes=classes, resize=resize)


def decode(features: Sequence[KerasTensor], widths: Sequence[int], *, classes: int, resize: str) -> Heads:
    """The decoder, on any encoder's features.

    Args:
        features: at 1/2, 1/4, 1/8, 1/16 and 1/32.
        widths: channels at 1/16, 1/8, 1/4 and 1/2 on the way up.
        classes: channels of the logits.
        resize: a name of RESIZES.

    Returns:
        As `portrait_nano`.
    """
    detail, *skips, x = features
    for level, channels in zip((4, 3, 2), widths, strict=False):
        x = _up(x, skips[level - 2], channels, resize, name=f"dec{level}")  # N,H/2^level,W/2^level,C
        if level == 3:
            side = upsample(conv(x, classes, 1, name="dec3_side"), 8, resize=resize, name="dec3_side_up")  # N,H,W,classes
    x = norm(deconv(x, widths[3], 2, bias=False, name="dec1_up"), name="dec1_up_BN")  # N,H/2,W/2,C
    if detail.shape[-1] != widths[3]:
        detail = norm(conv(detail, widths[3], 1, bias=False, name="dec1_skip"), name="dec1_skip_BN")
    x = relu(layers.Add(name="dec1_add")([x, detail]), limit=6, name="dec1_relu")
    x = _act(conv(x, widths[3], 3, bias=False, name="dec1_refine"))
    return Heads(deconv(x, classes, 2, name="head_up"), {"side": side})  # N,H,W,classes


small, medium, large = (partial(portrait_nano, table=table) for table in (SMALL, MEDIUM, LARGE))


def _act(x: KerasTensor) -> KerasTensor:
    """Batch normalisation and ReLU6 behind the convolution that made `x`."""
    name = x.name.split("/")[0]
    return relu(norm(x, name=f"{name}_BN"), limit=6, name=f"{name}_relu")


def _down(x: KerasTensor, channels: int, *, name: str) -> KerasTensor:
    """Halve and widen by a dense 3x3 convolution: (N,h,w,C) -> (N,h/2,w/2,channels)."""
    return _act(conv(x, channels, 3, stride=2, bias=False, name=name))


def _block(x: KerasTensor, expansion: int, kernel: int, *, name: str) -> KerasTensor:
    """Residual block: dense 3x3, or depthwise, 1x1 to `expansion` times the channels, 1x1 back: (N,h,w,C) -> (N,h,w,C)."""
    shortcut, channels = x, x.shape[-1]
    if kernel:
        x = norm(depthwise(x, kernel, bias=False, name=f"{name}_depthwise"), name=f"{name}_depthwise_BN")
        x = _act(conv(x, expansion * channels, 1, bias=False, name=f"{name}_expand"))  # N,h,w,E*C
        x = conv(x, channels, 1, bias=False, name=f"{name}_project")
    else:
        x = conv(x, channels, 3, bias=False, name=f"{name}_project")
    x = layers.Add(name=f"{name}_add")([norm(x, name=f"{name}_project_BN"), shortcut])
    return x if kernel else relu(x, limit=6, name=f"{name}_relu")


def _context(x: KerasTensor, *, name: str) -> KerasTensor:
    """Add what the whole picture holds to every place: (N,h,w,C) -> (N,h,w,C)."""
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)  # N,1,1,C
    mean = relu(conv(mean, x.shape[-1], 1, name=f"{name}_conv"), limit=6, name=f"{name}_relu")
    return layers.Add(name=f"{name}_add")([x, mean])


def _up(x: KerasTensor, skip: KerasTensor, channels: int, resize: str, *, name: str) -> KerasTensor:
    """Narrow, double, add the narrowed skip, refine: (N,h,w,C) -> (N,2h,2w,channels)."""
    x = norm(conv(x, channels, 1, bias=False, name=f"{name}_narrow"), name=f"{name}_narrow_BN")
    x = upsample(x, resize=resize, name=f"{name}_up")  # N,2h,2w,channels
    skip = norm(conv(skip, channels, 1, bias=False, name=f"{name}_skip"), name=f"{name}_skip_BN")
    x = layers.Add(name=f"{name}_add")([x, skip])
    return _block(relu(x, limit=6, name=f"{name}_relu"), 2, 3 if channels > 32 else 0, name=f"{name}_block")
