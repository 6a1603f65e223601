"""Nets that teach what they see in each sample as it is trained on: cropped, recoloured, composed."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from portraitseg.archs import logits_model
from portraitseg.card import Card, InputSpec
from portraitseg.errors import InputError
from portraitseg.losses.logits import person_logits
from portraitseg.training import start


class ViewTeachers:
    """Trained nets that run beside the student, on the same batches (arXiv:2106.05237)."""

    def __init__(self, paths: Sequence[Path], card: Card) -> None:
        """Build the teachers at the student's size.

        Args:
            paths: float checkpoints (.h5), or float files that export.py wrote.
            card: the student's.

        Raises:
            InputError: a file cannot be used.
        """
        self.have, self.teachers = card.input, []
        for path in paths:
            try:
                model, trained = start.trained(path, card.size)
            except InputError as error:
                allowed = "it takes float checkpoints (.h5) and float files of export.py; --teacher takes those of other projects too"
                raise InputError(f"cannot use --view-teacher {path}: {error}; {allowed}") from error
            self.teachers.append((logits_model(model), trained))

    def prob(self, x: tf.Tensor) -> tf.Tensor:
        """What they see together.

        Args:
            x: (N,H,W,3|4) in the student's range.

        Returns:
            The prob (N,H,W,1) of the mean of their logits for the pictures and, mirrored back, for their mirror images.
        """
        both = tf.concat([x, x[:, :, ::-1]], 0)
        logits = [
            person_logits(tf.cast(model(as_input(both, self.have, card), training=False), tf.float32)) for model, card in self.teachers
        ]
        seen, mirrored = tf.split(tf.add_n(logits) / len(logits), 2)
        return tf.stop_gradient(tf.sigmoid((seen + mirrored[:, :, ::-1]) / 2))


def as_input(x: tf.Tensor, have: InputSpec, card: Card) -> tf.Tensor:
    """A student's input as its teacher takes it: in its range and order, with an empty prior if it takes one.

    Args:
        x: (N,H,W,3|4).
        have: what x is in.
        card: the teacher's.
    """
    pictures, want = x[..., :3], card.input
    if have != want:
        bytes_ = pictures * have.std + have.mean
        bytes_ = bytes_ if have.order == want.order else bytes_[..., ::-1]
        pictures = (bytes_ - want.mean) / want.std
    return tf.pad(pictures, [[0, 0], [0, 0], [0, 0], [0, 1]]) if card.channels == 4 else pictures
