"""Losses (mask, logits) -> scalar. Computed in float32 whatever the net's precision is."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from portraitseg.errors import InputError
from portraitseg.losses.boundary import boundary_band, boundary_loss
from portraitseg.losses.logits import person_logits
from portraitseg.losses.region import bce_loss, dice_loss

__all__ = ["LOSSES", "Loss", "bce_loss", "boundary_band", "boundary_loss", "dice_loss", "parse", "person_logits", "weighted"]

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

LOSSES: dict[str, Loss] = {"bce": bce_loss, "dice": dice_loss}


def parse(text: str) -> dict[str, float]:
    """Read "bce=1,dice=0.5" into weights by name.

    Raises:
        InputError: an unknown loss, or a weight that is not a number above 0.
    """
    weights = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            weights[name.strip()] = float(number or 1)
        except ValueError as error:
            raise InputError(f"the weight of loss {name!r} must be a number, got {number!r}; write for example bce=1,dice=0.5") from error
    unknown = set(weights) - set(LOSSES)
    if unknown or min(weights.values()) <= 0:
        raise InputError(f"cannot use the loss {text!r}; write weights above 0 for any of {', '.join(LOSSES)}, e.g. bce=1,dice=0.5")
    return weights


def weighted(weights: Mapping[str, float]) -> Loss:
    """The weighted sum of losses; takes logits of one or two channels in any float precision."""

    def loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        single = person_logits(tf.cast(logits, tf.float32))
        return tf.add_n([weight * LOSSES[name](mask, single) for name, weight in weights.items()])

    return loss
