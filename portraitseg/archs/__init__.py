"""The architectures by name."""

from typing import Any

import tf_keras as keras

from portraitseg.archs import autoencoder, munet, portrait_nano, portrait_net, prisma_net, resunet, selfie_net, slim_net, u2net, unet
from portraitseg.archs.spec import ArchSpec, Heads, Published
from portraitseg.card import CAFFE, IMAGENET, SYMMETRIC, UNIT, Card
from portraitseg.encoders import ENCODERS
from portraitseg.errors import InputError
from portraitseg.layers import KerasTensor
from portraitseg.resizing import RESIZES

LOGITS = "logits"
"""The output that ships; every other is for training alone."""

_MUNET = "U-Net arXiv:1505.04597; MobileNetV2 arXiv:1801.04381"
_MUNET3 = "U-Net arXiv:1505.04597; MobileNetV3 arXiv:1905.02244"
_HALF = "the published file keeps the 5 BNs behind transposed convolutions: + 4 x 992 channels = 3,624,585"
_EDGE = "trainable: {} without the boundary head, which is training-only; the original's heads have two channels"
_NANO = "our own; blocks of MobileNetV4 arXiv:2404.10518"
_U2NET = "U2-Net arXiv:2005.09007"
_RESUNET = "residual U-Net arXiv:1711.10684; ResNet arXiv:1512.03385"

# fmt: off
ARCHS: dict[str, ArchSpec] = {
    "munet_mnv2": ArchSpec(
        builder=munet.munet_mnv2, size=128, wm=0.5, encoder="mobilenet_v2", paper=_MUNET,
        options={"decoder": ("deconv", "bilinear"), "resize": RESIZES},
        published=(Published(wm=0.5, folded=3_620_617, training=3_648_561, options={"decoder": "deconv"}, note=_HALF),
                   Published(wm=0.5, folded=3_620_617, training=3_648_561, options={"decoder": "bilinear"}))),
    "munet_mnv3": ArchSpec(
        builder=munet.munet_mnv3, size=224, wm=0.5, encoder="mobilenet_v3_small_thin", paper=_MUNET3,
        published=(Published(wm=1.0, folded=2_552_241, training=2_578_449), Published(wm=0.5, folded=1_192_213, training=1_216_293))),
    "munet_mnv3_transition": ArchSpec(
        builder=munet.munet_mnv3_transition, size=256, wm=1.0, encoder="mobilenet_v3_small", paper=_MUNET3,
        options={"resize": RESIZES},
        published=(Published(wm=1.0, folded=940_122, training=969_970, classes=2,
                             note="the original's head has two channels; with one, 17 fewer"),)),
    "munet_mnv2_transition": ArchSpec(
        builder=munet.munet_mnv2_transition, size=256, wm=0.35, encoder="mobilenet_v2", paper=_MUNET,
        options={"resize": RESIZES}),
    "munet": ArchSpec(
        builder=munet.munet, size=256, input=None, paper="U-Net arXiv:1505.04597",
        options={"encoder": tuple(ENCODERS), "decoder": ("transition", "deconv", "bilinear", "nano"), "resize": RESIZES}),
    "unet": ArchSpec(
        builder=unet.unet, size=256, input=None, paper="U-Net arXiv:1505.04597",
        options={"encoder": (unet.PLAIN, *ENCODERS), "up": ("transpose", "bilinear"), "resize": RESIZES},
        published=(Published(wm=1.0, trainable=31_037_633, training=31_049_409, folded=31_031_745, options={"up": "transpose"}),
                   Published(wm=1.0, trainable=17_262_977, training=17_271_809, folded=17_258_561, options={"up": "bilinear"}))),
    "mobilenet_v2_unet": ArchSpec(
        builder=unet.mobilenet_v2_unet, size=256, encoder="mobilenet_v2", paper=_MUNET, options={"resize": RESIZES},
        published=(Published(wm=1.0, trainable=3_468_481, training=3_503_265, folded=3_450_753,
                             note="published as 3.5 M; the kernels' sizes are inferred from it"),)),
    "mobilenet_v4_unet": ArchSpec(
        builder=unet.mobilenet_v4_unet, size=256, encoder="mobilenet_v4_conv_small",
        paper="U-Net arXiv:1505.04597; MobileNetV4 arXiv:2404.10518", options={"resize": RESIZES}),
    "prisma_net": ArchSpec(
        builder=prisma_net.prisma_net, size=256, input=UNIT, paper="U-Net arXiv:1505.04597; Xception arXiv:1610.02357",
        published=(Published(wm=1.0, folded=923_057, training=923_057),)),
    "portrait_net": ArchSpec(
        builder=portrait_net.portrait_net, size=224, encoder="mobilenet_v2", input=portrait_net.INPUT,
        paper="PortraitNet doi:10.1016/j.cag.2019.03.007",
        options={"up": portrait_net.UPS, "resize": RESIZES},
        published=(Published(wm=1.0, trainable=2_080_904, classes=2, options={"up": "deconv"}, note=_EDGE.format("2,080,760")),
                   Published(wm=1.0, trainable=1_905_544, classes=2, options={"up": "grouped"}, note=_EDGE.format("1,905,400")),
                   Published(wm=1.0, trainable=1_902_728, classes=2, options={"up": "bilinear"}, note=_EDGE.format("1,902,584")))),
    "slim_net": ArchSpec(
        builder=slim_net.slim_net, size=512, input=UNIT, paper="MediaPipe hair segmentation arXiv:1907.06740",
        options={"act": tuple(slim_net.ACTS), "resize": RESIZES},
        published=(Published(wm=1.0, folded=347_570, training=347_570, classes=2, options={"act": "prelu"},
                             note="the original's head has two channels; with one, 33 fewer"),)),
    "selfie_net": ArchSpec(
        builder=selfie_net.selfie_net, size=256, input=UNIT, paper="MobileNetV3 arXiv:1905.02244; MediaPipe's model card",
        options={"resize": RESIZES}, published=(Published(wm=1.0, folded=106_401),)),
    "autoencoder": ArchSpec(builder=autoencoder.autoencoder, size=256, input=UNIT, paper="-"),
    "portrait_nano_s": ArchSpec(builder=portrait_nano.small, size=256, paper=_NANO, options={"resize": RESIZES}),
    "portrait_nano_m": ArchSpec(builder=portrait_nano.medium, size=256, paper=_NANO, options={"resize": RESIZES}),
    "portrait_nano_l": ArchSpec(builder=portrait_nano.large, size=256, paper=_NANO, options={"resize": RESIZES}),
    "u2net": ArchSpec(
        builder=u2net.u2net, size=320, input=IMAGENET, paper=_U2NET, options={"resize": RESIZES},
        published=(Published(wm=1.0, trainable=44_009_869),)),
    "u2netp": ArchSpec(
        builder=u2net.u2netp, size=320, input=IMAGENET, paper=_U2NET, options={"resize": RESIZES},
        published=(Published(wm=1.0, trainable=1_131_181),)),
    "resunet": ArchSpec(
        builder=resunet.resunet, size=512, encoder="resnet50", input=CAFFE, paper=_RESUNET, options={"resize": RESIZES},
        published=(Published(wm=1.0, training=53_539_588),)),
}
# fmt: on


def find(arch: str) -> ArchSpec:
    """The spec of `arch`.

    Raises:
        InputError: there is no such arch.
    """
    if arch not in ARCHS:
        raise InputError(f"unknown arch {arch!r}; choose one of {', '.join(ARCHS)}")
    return ARCHS[arch]


def new_card(arch: str, *, wm: float | None = None, size: int | None = None, channels: int = 3, classes: int = 1, **options: Any) -> Card:
    """The card of an untrained net, defaults taken from the spec.

    Raises:
        InputError: unknown arch or option, size not a multiple of 32, wm not above 0.
    """
    spec = find(arch)
    chosen = {name: values[0] for name, values in spec.options.items()}
    for name, value in options.items():
        if value not in spec.options.get(name, ()):
            allowed = spec.options.get(name)
            hint = f"choose one of {', '.join(allowed)}" if allowed else "leave it out"
            raise InputError(f"{arch} has no {name} {value!r}; {hint}")
        chosen[name] = value
    side = spec.size if size is None else size
    width = spec.wm if wm is None else wm
    source = spec.input or (ENCODERS[chosen["encoder"]].input if chosen["encoder"] in ENCODERS else SYMMETRIC)
    card = Card(arch=arch, wm=width, size=(side, side), input=source, options=chosen, channels=channels, classes=classes)
    check(card)
    return card


def encoder_of(card: Card) -> str:
    """The name in ENCODERS of a card's encoder; empty: the net has none that weights could be copied onto."""
    name = card.options.get("encoder", find(card.arch).encoder)
    return str(name) if name in ENCODERS else ""


def check(card: Card) -> None:
    """Refuse a card that no net can be built from.

    Raises:
        InputError: unknown arch or option, size not a multiple of 32, wm not above 0, channels or classes out of range.
    """
    spec = find(card.arch)
    for side in card.size:
        if side < 32 or side % 32:
            raise InputError(f"size must be a multiple of 32, got {side}; try {max(32, round(side / 32) * 32)}")
    if not 0 < card.wm <= 4:
        raise InputError(f"wm (the width multiplier) must be above 0 and at most 4, got {card.wm}; {card.arch}'s default is {spec.wm}")
    if int(16 * card.wm) < 1:
        raise InputError(f"wm {card.wm} leaves a layer without channels; the smallest is 0.0625")
    if card.channels not in (3, 4) or card.classes not in (1, 2):
        raise InputError(f"channels must be 3 or 4 and classes 1 or 2, got {card.channels} and {card.classes}")
    unknown = {name: value for name, value in card.options.items() if value not in spec.options.get(name, ())}
    if unknown:
        raise InputError(f"{card.arch} has no option {unknown}; it has {dict(spec.options)}")


def build(card: Card) -> keras.Model:
    """The untrained net of a card: input (N,H,W,channels) in the card's range -> logits (N,H,W,classes), float32.

    A net with training-only heads has them as further outputs behind the logits, each named as in its `Heads`.

    Raises:
        InputError: the card names something that cannot be built.
    """
    check(card)
    image = keras.Input((*card.size, card.channels), name="image")
    made = find(card.arch).builder(image, wm=card.wm, classes=card.classes, **card.options)
    heads = made if isinstance(made, Heads) else Heads(made, {})
    outputs = [_output(tensor, name) for name, tensor in {LOGITS: heads.logits, **heads.aux}.items()]
    return keras.Model(image, outputs if len(outputs) > 1 else outputs[0], name=card.arch)


def logits_model(model: keras.Model) -> keras.Model:
    """The same layers and weights with the logits as the only output.

    Raises:
        InputError: no layer is named "logits" and the net has several outputs, or a model lies within the model.
    """
    nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    if nested:
        raise InputError(f"only a flat graph can be exported, but {', '.join(nested)} is a model within the model; build it from layers")
    if any(layer.name == LOGITS for layer in model.layers):
        return keras.Model(model.inputs, model.get_layer(LOGITS).output, name=model.name)
    if len(model.outputs) != 1:
        names = ", ".join(model.output_names)
        raise InputError(f'the net has {len(model.outputs)} outputs ({names}); name the layer that gives the logits "{LOGITS}"')
    return model


def _output(tensor: KerasTensor, name: str) -> KerasTensor:
    return keras.layers.Activation("linear", dtype="float32", name=name)(tensor)


__all__ = ["ARCHS", "LOGITS", "ArchSpec", "Heads", "Published", "build", "check", "encoder_of", "find", "logits_model", "new_card"]
