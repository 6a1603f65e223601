"""The architectures by name."""

from typing import Any

import tf_keras as keras

from portraitseg.archs import munet, portrait_nano
from portraitseg.archs.spec import ArchSpec, Heads, Published
from portraitseg.card import SYMMETRIC, Card
from portraitseg.encoders import ENCODERS
from portraitseg.errors import InputError
from portraitseg.layers import KerasTensor
from portraitseg.resizing import RESIZES

LOGITS = "logits"
"""The output that ships; every other is for training alone."""

_MUNET = "U-Net arXiv:1505.04597; MobileNetV2 arXiv:1801.04381"
_MUNET3 = "U-Net arXiv:1505.04597; MobileNetV3 arXiv:1905.02244"
_HALF = "the published file keeps the 5 BNs behind transposed convolutions: + 4 x 992 channels = 3,624,585"

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
    "portrait_nano_s": ArchSpec(builder=portrait_nano.small, size=256, paper="-", options={"resize": RESIZES}),
    "portrait_nano_m": ArchSpec(builder=portrait_nano.medium, size=256, paper="-", options={"resize": RESIZES}),
    "portrait_nano_l": ArchSpec(builder=portrait_nano.large, size=256, paper="-", options={"resize": RESIZES}),
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
