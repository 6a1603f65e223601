"""What one step minimises: the mask's losses, those of the training-only outputs, and whatever else the settings ask for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf
import tf_keras as keras

from portraitseg import losses
from portraitseg.archs import LOGITS
from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.losses.distillation import distillation_loss
from portraitseg.training.features import EncoderTeacher
from portraitseg.training.settings import LossSettings, TeacherSettings
from portraitseg.training.texture import Texture, make_texture
from portraitseg.training.views import ViewTeachers

Batch = Mapping[str, tf.Tensor]
"""What `pipeline.train_batches` gives: "x" (N,H,W,C) in the card's range, "mask" (N,H,W,1) in [0,1], and what a setting adds."""
Objective = Callable[[keras.Model, Batch], tf.Tensor]
"""(model in training mode, batch) -> scalar."""
Heads = Mapping[str, tf.Tensor]
"""A net's outputs (N,H,W,classes) by name, LOGITS and those for training alone."""
BOUNDARY = "boundary"
"""The output that is fitted to the mask's edge; every other one is to the mask."""


def make_objective(
    settings: LossSettings,
    teaching: TeacherSettings | None = None,
    *,
    card: Card | None = None,
    encoder_teacher: EncoderTeacher | None = None,
    view_teachers: ViewTeachers | None = None,
) -> Objective:
    """The objective that the settings describe.

    With the consistency loss it is PortraitNet's (doi:10.1016/j.cag.2019.03.007): the masks' losses of both views, of which the textured
    one alone is held against the boundary and the teacher, and what parts the two.

    Args:
        settings: losses and weights.
        teaching: how batches with a "teacher" are learned; its defaults if left out.
        card: the range of the input, for the consistency loss.
        encoder_teacher: whose features the net's have to hold; it was made for the net that is trained.
        view_teachers: whose prob of the batch is learned.

    Raises:
        InputError: an unknown loss, or a number out of range.
    """
    settings.check_loss()
    loss = losses.weighted(losses.parse(settings.loss), band_width=settings.band_width)
    teaching = teaching or TeacherSettings()
    softened = {"temperature": teaching.distill_temperature, "boundary": teaching.distill_boundary}
    texture = _texture(card) if settings.consistency else None

    def supervised(mask: tf.Tensor, heads: Heads) -> tf.Tensor:
        parts = [weight * loss(mask, heads[name]) for name, weight in head_weights(settings.side_weights, list(heads)).items()]
        if BOUNDARY in heads:
            edge = losses.boundary_loss(mask, heads[BOUNDARY], kind=settings.boundary, width=settings.boundary_width)
            parts.append(settings.boundary_weight * edge)
        return tf.add_n(parts)

    def objective(model: keras.Model, batch: Batch) -> tf.Tensor:
        x = texture(batch["x"]) if texture else batch["x"]
        heads, unexplained = encoder_teacher.forward(x) if encoder_teacher else (forward(model, x), 0.0)
        value = on_labelled(supervised, batch, heads) + teaching.encoder_weight * unexplained
        if texture:
            original = forward(model, batch["x"])
            value += on_labelled(supervised, batch, {name: head for name, head in original.items() if name != BOUNDARY})
            divergence = losses.consistency_loss(original[LOGITS], heads[LOGITS], temperature=settings.consistency_temperature)
            value += settings.consistency * divergence
        if "teacher" in batch:
            imitated = partial(distillation_loss, **softened)
            value += teaching.distill_weight * on_rows(batch["taught"], imitated, batch["teacher"], heads[LOGITS])
        if view_teachers:
            value += teaching.distill_weight * distillation_loss(view_teachers.prob(x), heads[LOGITS], **softened)
        return value

    return objective


def head_weights(text: str, names: Sequence[str]) -> dict[str, float]:
    """Weights of the outputs that are fitted to the mask, by name.

    Args:
        text: one weight for every side output, or weights for the main output and each side output in order.
        names: the net's outputs; the boundary's is not among those weighed here.

    Raises:
        InputError: not numbers of at least 0, too many or too few of them, or weights for side outputs that the net has not.
    """
    main, *sides = heads = [name for name in names if name != BOUNDARY]
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = [-1.0]
    if not all(0 <= weight < float("inf") for weight in weights):
        raise InputError(f"--side-weights takes numbers of at least 0, such as 0.5 or 1,0.5,0.5; got {text!r}")
    if len(weights) == 1 and (sides or weights == [1.0]):
        weights = [1.0, *weights * len(sides)]
    elif not sides or len(weights) != len(heads):
        allowed = f"give one for every side output, or {len(heads)}, in this order: {', '.join(heads)}" if sides else "leave them out"
        raise InputError(f"--side-weights {text} does not fit a net with {len(sides)} side outputs; {allowed}")
    return dict(zip([main, *sides], weights, strict=True))


def on_labelled(loss: Callable[..., tf.Tensor], batch: Batch, *outputs: Any) -> tf.Tensor:
    """`loss(mask, *outputs)` of the samples whose mask is to be learned: all, without "labelled" in the batch."""
    return on_rows(batch["labelled"], loss, batch["mask"], *outputs) if "labelled" in batch else loss(batch["mask"], *outputs)


def on_rows(chosen: tf.Tensor, loss: Callable[..., tf.Tensor], *tensors: Any) -> tf.Tensor:
    """`loss(*tensors)` of the samples that `chosen` (N,) bool names, 0 if there are none."""
    rows = tf.nest.map_structure(lambda tensor: tf.boolean_mask(tensor, chosen), tensors)
    return tf.cond(tf.reduce_any(chosen), lambda: loss(*rows), lambda: tf.zeros((), tf.float32))


def forward(model: keras.Model, x: tf.Tensor) -> Heads:
    """Run the net in training mode."""
    return dict(zip(model.output_names, tf.nest.flatten(model(x, training=True)), strict=True))


def _texture(card: Card | None) -> Texture:
    if card is None:
        raise ValueError("the consistency loss needs the card: it says what range the input is in")
    return make_texture(card)
