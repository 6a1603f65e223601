"""Losses (mask, logits) -> scalar. Computed in float32 whatever the net's precision is."""

from collections.abc import Callable, Mapping
from functools import partial

import tensorflow as tf

from portraitseg.errors import InputError
from portraitseg.losses.boundary import BOUNDARIES, boundary_band, boundary_loss, boundary_rmse_loss, transition_band
from portraitseg.losses.consistency import consistency_loss
from portraitseg.losses.logits import person_logits
from portraitseg.losses.matting import detail_loss, laplacian_loss
from portraitseg.losses.region import bce_loss, dice_loss, focal_loss, iou_loss, l1_loss, lovasz_loss, tversky_loss

__all__ = [
    "BANDED",
    "BOUNDARIES",
    "LOSSES",
    "Loss",
    "bce_loss",
    "boundary_band",
    "boundary_loss",
    "boundary_rmse_loss",
    "consistency_loss",
    "detail_loss",
    "dice_loss",
    "focal_loss",
    "iou_loss",
    "l1_loss",
    "laplacian_loss",
    "lovasz_loss",
    "parse",
    "person_logits",
    "transition_band",
    "tversky_loss",
    "weighted",
]

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

LOSSES: dict[str, Callable[..., tf.Tensor]] = {
    "bce": bce_loss,
    "dice": dice_loss,
    "iou": iou_loss,
    "l1": l1_loss,
    "focal": focal_loss,
    "tversky": tversky_loss,
    "lovasz": lovasz_loss,
    "boundary_rmse": boundary_rmse_loss,
    "detail": detail_loss,
    "laplacian": laplacian_loss,
}
BANDED = ("boundary_rmse", "detail")
"""Those that look at the band about the mask's edge, and take its width."""


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
    if unknown or not all(0 < weight < float("inf") for weight in weights.values()):
        raise InputError(f"cannot use the loss {text!r}; write weights above 0 for any of {', '.join(LOSSES)}, e.g. bce=1,dice=0.5")
    return weights


def weighted(weights: Mapping[str, float], *, band_width: int = 8) -> Loss:
    """The weighted sum of losses; takes logits of one or two channels in any float precision.

    Args:
        weights: by name.
        band_width: in pixels, for those in BANDED.
    """
    parts = {name: partial(LOSSES[name], width=band_width) if name in BANDED else LOSSES[name] for name in weights}

    def loss(mask: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        single = person_logits(tf.cast(logits, tf.float32))
        return tf.add_n([weight * parts[name](mask, single) for name, weight in weights.items()])

    return loss
