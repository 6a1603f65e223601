"""The weights that a new run starts from, beside random ones."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from portraitseg import archs, checkpoint
from portraitseg.card import Card, InputSpec
from portraitseg.data.pairs import listed
from portraitseg.encoders import pretrained
from portraitseg.encoders.folded import match
from portraitseg.encoders.folded.unfold import unfold
from portraitseg.errors import InputError
from portraitseg.rewrite.undeploy import undeployed
from portraitseg.runtime import cards
from portraitseg.runtime.foreign import RANGES
from portraitseg.training import narrowing, temperature, widening
from portraitseg.training.settings import NetSettings

FLOAT = ("fp32", "fp16")
"""`Card.quant` of checkpoints and exported files whose weights are those of the training."""


def fill(model: keras.Model, card: Card, settings: NetSettings) -> Card:
    """Fill the net from `init` or `pretrained`, where either is set.

    Args:
        model: the net.
        card: its card.
        settings: which of the two.

    Returns:
        The card, which goes on with how the checkpoint was made.

    Raises:
        InputError: the weights cannot be had or do not fit.
    """
    if settings.init and _is_foreign(settings):
        input_ = _trained_input(str(settings.init), settings.pretrained_range) or card.input
        count = pretrained.load_whole(model, settings.init, trained=input_, fed=card.input)
        tqdm.write(f"starts from {settings.init}: {count} layers, all there are")
        return card
    if settings.init:
        before = _read_card(settings.init)
        narrower = before.quant == card.quant and before.wm < card.wm
        if grown := widening.widen(model, trained(settings.init, card.size)[0]) if narrower else 0:
            tqdm.write(f"starts from {settings.init}; {grown} layers are wider here, and what is new in them counts for nothing yet")
        else:
            others = checkpoint.take(model, trained(settings.init)[0], origin=f"{settings.init} ({before.name})")
            tqdm.write(f"starts from {settings.init}" + (f", but for {listed(others)}" if others else ""))
        return replace(card, made=before.made)
    if settings.pretrained:
        ranges = {"trained": _trained_input(settings.pretrained, settings.pretrained_range), "fed": card.input}
        pretrained.load_pretrained(model, settings.pretrained, encoder=archs.encoder_of(card), wm=card.wm, **ranges)
    return card


def settle(model: keras.Model, card: Card, settings: NetSettings, batches: Iterable[Mapping[str, tf.Tensor]]) -> None:
    """Finish what needs pictures: a narrower encoder, batch-norm statistics, the temperature; nothing where none is needed.

    Args:
        model: a net that `fill` has filled.
        card: its card.
        settings: those of `fill`.
        batches: see `temperature.scale`; read several times.
    """
    init = settings.init
    whole = init is not None and _is_foreign(settings)
    folded = any(match.is_folded(str(source)) for source in (init, settings.pretrained) if source)
    if init and not whole and _read_card(init).wm > card.wm:
        wider, _ = trained(init, card.size)
        channels = wider.input_shape[-1]
        if kept := narrowing.narrow(model, wider, (batch["x"][..., :channels] for batch in batches)):
            tqdm.write(f"{len(kept)} bottlenecks are narrower and keep {min(kept):.0%} to {max(kept):.0%} of their variance")
            folded = True
    if folded:
        unfold(model, (batch["x"] for batch in batches), prefix="" if init and match.is_folded(str(init)) else pretrained.PREFIX)
    if whole:
        tqdm.write(f"logits divided by {temperature.scale(model, batches):.3g}, which fits the masks best")


def _is_foreign(settings: NetSettings) -> bool:
    """Whether `init` is a file that export.py did not write."""
    path = settings.init
    return path is not None and match.is_folded(str(path)) and (settings.pretrained_range is not None or _card_inside(path) is None)


def _read_card(path: Path) -> Card:
    """Of a float checkpoint, or of a file that export.py wrote from one."""
    card = _card_inside(path) or checkpoint.read_card(path)
    if card.quant not in FLOAT:
        raise InputError(f"{path} is {card.quant}; start from the float file or checkpoint that it was made from")
    return replace(card, quant="fp32", sha256="")


def trained(path: Path, size: tuple[int, int] | None = None) -> tuple[keras.Model, Card]:
    """The net of a float checkpoint, or of a file that export.py wrote from one, at its own size or another.

    Raises:
        InputError: the file is missing, broken or quantized, or was not written here.
    """
    card = _read_card(path)
    folded = undeployed(card, partial(match.read, path, prefix="")) if match.is_folded(str(path)) else None
    if folded and size in (None, card.size):
        return folded, card
    model = archs.build(replace(card, size=size or card.size))
    if folded:
        model.set_weights(folded.get_weights())
    else:
        checkpoint.load_weights(model, card, path)
    return model, card


def _card_inside(path: Path) -> Card | None:
    return cards.inside(path) if path.is_file() else None


def _trained_input(weights: str, range_: str | None) -> InputSpec | None:
    """The input that pretrained weights were trained with, as the user or the card inside a file of ours says; None: the usual one."""
    if range_:
        return RANGES[range_]
    card = _card_inside(Path(weights))
    return card.input if card else None
