"""Mobile-UNet: a MobileNet encoder, skips read before each stride, and a light decoder; `munet` takes any encoder.

Sources: Portrait-Segmentation by anilsathyan7 (the four published nets); U-Net (Ronneberger 2015, arXiv:1505.04597). Kept: layers,
widths and biases to the last parameter. Corrected: taps are named, not counted from the end of a library's model; the bilinear
resize has half-pixel centres (the original's masks were shifted); pictures are scaled once, to [-1,1].
"""

from tf_keras import layers

from portraitseg.archs import portrait_nano
from portraitseg.archs.spec import Heads
from portraitseg.encoders import ENCODERS
from portraitseg.encoders import mobilenet_v2 as v2
from portraitseg.encoders import mobilenet_v3 as v3
from portraitseg.layers import Dropout, KerasTensor, conv, deconv, depthwise, norm, relu, upsample

WIDTHS = (256, 128, 64, 32, 16)
"""The decoder of munet_mnv3 at 1/16, 1/8, 1/4, 1/2 and full size."""


def munet(
    x: KerasTensor,
    *,
    wm: float,
    classes: int = 1,
    encoder: str = "mobilenet_v2",
    decoder: str = "transition",
    resize: str = "half_pixel",
) -> KerasTensor | Heads:
    """Any encoder with one of the published decoders, whose widths are munet_mnv3's.

    Args:
        x: (N,H,W,C) in the encoder's range, H and W multiples of 32.
        wm: width multiplier of the encoder and, for "deconv" and "bilinear", of the decoder.
        classes: channels of the logits.
        encoder: a name of ENCODERS.
        decoder: "transition" as in munet_mnv3_transition, "deconv" and "bilinear" as in munet_mnv2, "nano" as in portrait_nano_m.
        resize: how "transition" and "bilinear" resize, a name of RESIZES.

    Returns:
        Logits (N,H,W,classes).
    """
    features = ENCODERS[encoder].features(x, wm=wm)
    if decoder == "nano":
        return portrait_nano.decode(features, (*portrait_nano.MEDIUM.decoder, portrait_nano.MEDIUM.stem), classes=classes, resize=resize)
    *skips, x = features
    skips.reverse()  # 1/16, 1/8, 1/4, 1/2
    if decoder == "transition":
        return _transition_decoder(x, skips[:3], classes, resize)
    x = _unet_decoder(x, skips, [int(filters * wm) for filters in WIDTHS], decoder, resize)
    return deconv(x, classes, 1, stride=1, name="head_conv")  # N,H,W,classes


def munet_mnv2(x: KerasTensor, *, wm: float, classes: int = 1, decoder: str = "deconv", resize: str = "half_pixel") -> KerasTensor:
    """MobileNetV2 encoder, U-Net decoder of fixed width with concatenated skips.

    Args:
        x: (N,H,W,C) in [-1,1], H and W multiples of 32.
        wm: width multiplier of the encoder.
        classes: channels of the logits.
        decoder: "deconv" doubles by a transposed 3x3 convolution, "bilinear" by a resize and a 3x3 convolution (4x the MACs).
        resize: how "bilinear" resizes, a name of RESIZES.

    Returns:
        Logits (N,H,W,classes).
    """
    taps = v2.mobilenet_v2(x, wm=wm)
    skips = [taps[name] for name in reversed(v2.TAPS)]  # 1/16, 1/8, 1/4, 1/2
    x = _unet_decoder(taps["enc_block_16_project_BN"], skips, (512, 256, 128, 64, 32), decoder, resize)
    return deconv(x, classes, 1, stride=1, name="head_conv")  # N,H,W,classes


def munet_mnv3(x: KerasTensor, *, wm: float, classes: int = 1) -> KerasTensor:
    """Minimalistic MobileNetV3-small encoder, transposed-convolution decoder scaled by `wm`: (N,H,W,C) -> logits (N,H,W,classes)."""
    taps = v3.mobilenet_v3_small_thin(x, wm=wm)
    skips = [taps[name] for name in reversed(v3.TAPS)]  # 1/16, 1/8, 1/4, 1/2
    x = _unet_decoder(taps[v3.LAST], skips, [int(filters * wm) for filters in WIDTHS], "deconv")
    return deconv(x, classes, 1, stride=1, name="head_conv")  # N,H,W,classes


def munet_mnv3_transition(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> KerasTensor:
    """Minimalistic MobileNetV3-small encoder, transition decoder with added skips: (N,H,W,C) -> logits (N,H,W,classes)."""
    taps = v3.mobilenet_v3_small(x, wm=wm)
    return _transition_decoder(taps[v3.LINEAR], [taps[name] for name in reversed(v3.TAPS[1:])], classes, resize)


def munet_mnv2_transition(x: KerasTensor, *, wm: float, classes: int = 1, resize: str = "half_pixel") -> KerasTensor:
    """MobileNetV2 encoder, transition decoder with added skips: (N,H,W,C) -> logits (N,H,W,classes)."""
    taps = v2.mobilenet_v2(x, wm=wm)
    return _transition_decoder(taps["enc_block_16_project_BN"], [taps[name] for name in reversed(v2.TAPS[1:])], classes, resize)


def _unet_decoder(
    x: KerasTensor, skips: list[KerasTensor], filters: "list[int] | tuple[int, ...]", decoder: str, resize: str = "half_pixel"
) -> KerasTensor:
    """Five doublings from 1/32 to full size; the first four are concatenated with a skip and dropped out while training."""
    for level, width in zip((4, 3, 2, 1, 0), filters, strict=True):
        name = f"dec{level}"
        if decoder == "bilinear":
            x = conv(upsample(x, resize=resize, name=f"{name}_up"), width, 3, name=f"{name}_conv")  # N,2h,2w,F
        else:
            x = deconv(x, width, name=f"{name}_up")  # N,2h,2w,F
        x = norm(x, name=f"{name}_BN")
        if level:
            x = Dropout(0.5, name=f"{name}_dropout")(x)
        x = relu(x, name=f"{name}_relu")
        if level:
            x = layers.Concatenate(name=f"{name}_concat")([x, skips[4 - level]])  # N,2h,2w,F+S
    return x


def _transition_decoder(x: KerasTensor, skips: list[KerasTensor], classes: int, resize: str) -> KerasTensor:
    """Refine to the skip's width, double, add, from 1/32 to 1/4; then 16 channels, four-fold resize, 1x1 convolution."""
    for level, skip in zip((4, 3, 2), skips, strict=True):
        name = f"dec{level}"
        x = _transition(x, skip.shape[-1], name=name)
        x = upsample(x, resize=resize, name=f"{name}_up")  # N,2h,2w,S
        x = layers.Add(name=f"{name}_add")([x, skip])
    x = _transition(x, 16, name="dec1")  # N,H/4,W/4,16
    x = upsample(x, resize=resize, name="dec1_up")  # N,H/2,W/2,16
    x = upsample(x, resize=resize, name="dec0_up")  # N,H,W,16
    return conv(x, classes, 1, name="head_conv")  # N,H,W,classes


def _transition(x: KerasTensor, filters: int, *, name: str) -> KerasTensor:
    """Two separable convolutions beside a 1x1 shortcut, added: (N,h,w,C) -> (N,h,w,filters)."""
    shortcut = norm(conv(x, filters, 1, name=f"{name}_shortcut"), name=f"{name}_shortcut_BN")
    for step in (1, 2):
        x = norm(depthwise(x, name=f"{name}_depthwise{step}"), name=f"{name}_depthwise{step}_BN")
        x = relu(x, name=f"{name}_depthwise{step}_relu")
        x = norm(conv(x, filters, 1, name=f"{name}_project{step}"), name=f"{name}_project{step}_BN")
        if step == 1:
            x = relu(x, name=f"{name}_project1_relu")
    x = layers.Add(name=f"{name}_sum")([x, shortcut])
    return relu(x, name=f"{name}_relu")
