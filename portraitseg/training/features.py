"""An encoder that teaches another: its features at 1/4 to 1/32, of each batch as it is trained on."""

from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.losses.features import unexplained_variance
from portraitseg.training import start
from portraitseg.training.views import as_input

STRIDES = (4, 8, 16, 32)


def features_of(model: keras.Model) -> dict[int, tf.Tensor]:
    """The encoder's last tensor (N,H/s,W/s,C) by stride s, those of `STRIDES` that it has."""
    height, width = model.inputs[0].shape[1:3]
    found: dict[int, tf.Tensor] = {}
    for layer in model.layers:
        shape = getattr(layer.output, "shape", ())
        if layer.name.startswith("enc_") and len(shape) == 4:
            found |= {stride: layer.output for stride in STRIDES if shape[1:3] == (height // stride, width // stride)}
    return found


class EncoderTeacher:
    """A trained net whose encoder's features a student's have to hold."""

    def __init__(self, path: Path, model: keras.Model, card: Card) -> None:
        """Build the teacher at the student's size.

        Args:
            path: the teacher's float checkpoint, or a float file that export.py wrote.
            model: the student.
            card: the student's.

        Raises:
            InputError: the file cannot be used, or the two nets have no resolution in common.
        """
        teacher, trained = start.trained(path, card.size)
        theirs, ours = features_of(teacher), features_of(model)
        self.strides = sorted(set(theirs) & set(ours))
        if not self.strides:
            raise InputError(f"{path} ({trained.name}) cannot teach {card.name}: their encoders have no resolution in common")
        self.teacher = keras.Model(teacher.inputs, [theirs[stride] for stride in self.strides])
        self.student = keras.Model(model.inputs, [*model.outputs, *(ours[stride] for stride in self.strides)])
        self.names = model.output_names
        self._have, self._card = card.input, trained

    def forward(self, x: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Run the student in training mode and the teacher beside it.

        Args:
            x: (N,H,W,3|4) in the student's range.

        Returns:
            The student's heads by name, and the loss: the mean over the resolutions of `unexplained_variance`.
        """
        outputs = self.student(x, training=True)
        heads, features = outputs[: len(self.names)], outputs[len(self.names) :]
        wanted = tf.nest.flatten(self.teacher(as_input(x, self._have, self._card), training=False))
        losses = [unexplained_variance(ours, theirs) for ours, theirs in zip(features, wanted, strict=True)]
        return dict(zip(self.names, heads, strict=True)), tf.add_n(losses) / len(losses)
