"""The weights that a new run starts from, beside random ones."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
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
from portraitseg.runtime import cards
from portraitseg.runtime.foreign import RANGES
from portraitseg.training import narrowing, temperature, widening
from portraitseg.training.settings import NetSettings


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
    if settings.init and match.is_folded(str(settings.init)):
        trained = _trained_input(str(settings.init), settings.pretrained_range) or card.input
        count = pretrained.load_whole(model, settings.init, trained=trained, fed=card.input)
        tqdm.write(f"starts from {settings.init}: {count} layers, all there are")
        return card
    if settings.init:
        before = checkpoint.read_card(settings.init)
        narrower = before.quant == card.quant and before.wm < card.wm
        if grown := widening.widen(model, _trained(settings.init, card)) if narrower else 0:
            tqdm.write(f"starts from {settings.init}; {grown} layers are wider here, and what is new in them counts for nothing yet")
        else:
            others = checkpoint.start_from(model, settings.init)
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
    whole = bool(settings.init) and match.is_folded(str(settings.init))
    folded = whole or (bool(settings.pretrained) and match.is_folded(str(settings.pretrained)))
    if settings.init and not whole:
        trained = _trained(settings.init, card)
        channels = trained.input_shape[-1]
        if kept := narrowing.narrow(model, trained, (batch["x"][..., :channels] for batch in batches)):
            tqdm.write(f"{len(kept)} bottlenecks are narrower and keep {min(kept):.0%} to {max(kept):.0%} of their variance")
            folded = True
    if folded:
        unfold(model, (batch["x"] for batch in batches), prefix="" if whole else pretrained.PREFIX)
    if whole:
        tqdm.write(f"logits divided by {temperature.scale(model, batches):.3g}, which fits the masks best")


def _trained(path: Path, card: Card) -> keras.Model:
    """A float checkpoint's net, at the size of `card`."""
    other = replace(checkpoint.read_card(path), size=card.size)
    model = archs.build(other)
    checkpoint.load_weights(model, other, path)
    return model


def _trained_input(weights: str, range_: str | None) -> InputSpec | None:
    """The input that pretrained weights were trained with, as the user or the card inside a file of ours says; None: the usual one."""
    if range_:
        return RANGES[range_]
    card = cards.inside(Path(weights)) if Path(weights).is_file() else None
    return card.input if card else None
