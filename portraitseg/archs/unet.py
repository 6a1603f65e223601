"""U-Nets: the classic one, its decoder on any encoder, and decoders without skips.

Sources: U-Net (Ronneberger 2015, arXiv:1505.04597); BackgroundSegmentationUNet by lursz, of which only the description is public. That
gives its U-Net 31 M parameters and a bilinear decoder by default with a bottleneck of 512; these exclude each other: 31.0 M is the net
with transposed convolutions and a bottleneck of 1024, and the bilinear one has 17.3 M. `up` offers both. The kernels of its skip-less
decoders are not described; 3x3 everywhere, with biases, is what its 3.5 M parameters allow. Corrected against the paper: "same" padding,
so that the mask is as large as the picture, and batch normalisation, as every later implementation has it.
"""

from tf_keras import layers

from portraitseg.encoders import ENCODERS
from portraitseg.encoders import mobilenet_v2 as v2
from portraitseg.layers import KerasTensor, conv, deconv, divisible, norm, relu, upsample

PLAIN = "plain"
"""The encoder of the original: two convolutions a level, halved by max-pooling."""


def unet(
    x: KerasTensor, *, wm: float, classes: int = 1, encoder: str = PLAIN, up: str = "transpose", resize: str = "half_pixel"
) -> KerasTensor:
    """U-Net, two 3x3 convolutions a level.

    With an encoder of ENCODERS a level of the decoder is half as wide as its skip, though no less than 16: as wide as the classic one a
    ResNet50's would be four times the encoder. Full size, where no skip comes from, is half as wide as the level below.

    Args:
        x: (N,H,W,C) in the encoder's range ([-1,1] for the plain one), H and W multiples of 32.
        wm: width multiplier; the plain encoder has 64 to 1024 channels at 1.
        classes: channels of the logits.
        encoder: "plain" or a name of ENCODERS.
        up: "transpose" doubles by a transposed 2x2 convolution, "bilinear" by a resize (and a bottleneck of 512 in the plain net).
        resize: how "bilinear" resizes, a name of RESIZES.

    Returns:
        Logits (N,H,W,classes).
    """
    if encoder == PLAIN:
        *skips, x = _plain_encoder(x, wm, bottleneck=1024 if up == "transpose" else 512)
        outs = (512, 256, 128, 64) if up == "transpose" else (256, 128, 64, 64)
        widths = [(divisible(mid * wm), divisible(out * wm)) for mid, out in zip((512, 256, 128, 64), outs, strict=True)]
    else:
        *skips, x = ENCODERS[encoder].features(x, wm=wm)
        halves = [max(16, divisible(skip.shape[-1] / 2)) for skip in reversed(skips)]
        halves.append(max(16, divisible(halves[-1] / 2)))
        widths = [(half, half) for half in halves]
    for level, (mid, out) in zip(range(len(widths) - 1, -1, -1), widths, strict=True):
        x = _up(x, skips.pop() if skips else None, mid, out, up, resize, name=f"dec{level}")  # N,H/2^level,W/2^level,out
    return conv(x, classes, 1, name="head_conv")  # N,H,W,classes


def mobilenet_v2_unet(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> KerasTensor:
    """MobileNetV2 with its 1280 last features and a decoder without skips: (N,H,W,C) in [-1,1] -> logits (N,H,W,classes).

    The original feeds ImageNet's mean and deviation; [-1,1] is what keras.applications' weights were trained with.
    """
    return _skipless(v2.mobilenet_v2(x, wm=wm, head=True)[v2.HEAD], wm, classes, resize)


def mobilenet_v4_unet(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> KerasTensor:
    """MobileNetV4-Conv-Small and a decoder without skips: (N,H,W,C) in [-1,1] -> logits (N,H,W,classes)."""
    return _skipless(ENCODERS["mobilenet_v4_conv_small"].features(x, wm=wm)[-1], wm, classes, resize)


def _plain_encoder(x: KerasTensor, wm: float, *, bottleneck: int) -> list[KerasTensor]:
    """Features at full size, 1/2, 1/4, 1/8 and 1/16."""
    features: list[KerasTensor] = []
    for level, filters in enumerate((64, 128, 256, 512, bottleneck)):
        name = f"enc_level{level}"
        if level:
            x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        x = _double(x, divisible(filters * wm), divisible(filters * wm), name=name)  # N,H/2^level,W/2^level,F
        features.append(x)
    return features


def _up(x: KerasTensor, skip: KerasTensor | None, mid: int, out: int, up: str, resize: str, *, name: str) -> KerasTensor:
    """Double, concatenate with the skip, two convolutions: (N,h,w,C) -> (N,2h,2w,out)."""
    x = deconv(x, mid, 2, name=f"{name}_up") if up == "transpose" else upsample(x, resize=resize, name=f"{name}_up")
    if skip is not None:
        x = layers.Concatenate(name=f"{name}_concat")([skip, x])  # N,2h,2w,S+C
    return _double(x, mid, out, name=name)


def _double(x: KerasTensor, mid: int, out: int, *, name: str) -> KerasTensor:
    for step, filters in enumerate((mid, out), 1):
        x = _conv(x, filters, bias=False, name=f"{name}_conv{step}")
    return x


def _conv(x: KerasTensor, filters: int, *, bias: bool, name: str) -> KerasTensor:
    return relu(norm(conv(x, filters, 3, bias=bias, name=name), name=f"{name}_BN"), name=f"{name}_relu")


def _skipless(x: KerasTensor, wm: float, classes: int, resize: str) -> KerasTensor:
    """Four transposed convolutions, each refined by a convolution, then a 1x1 and a bilinear doubling: 1/32 -> full size."""
    for level, width in zip((4, 3, 2, 1), (96, 32, 24, 16), strict=True):
        name, filters = f"dec{level}", divisible(width * wm)
        x = norm(deconv(x, filters, name=f"{name}_up"), name=f"{name}_up_BN")  # N,H/2^level,W/2^level,F
        x = _conv(relu(x, name=f"{name}_up_relu"), filters, bias=True, name=f"{name}_conv")
    x = conv(x, classes, 1, name="head_conv")  # N,H/2,W/2,classes
    return upsample(x, resize=resize, name="head_up")  # N,H,W,classes
