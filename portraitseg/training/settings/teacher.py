"""Whom a run learns from beside the masks."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from portraitseg.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """Distillation and self-training."""

    teacher: tuple[Path, ...] = ()
    """A model to imitate beside the masks: a checkpoint (.h5) or an artifact (.tflite). It predicts each picture once, before training.
    Of several, a picture is taught by the one that comes nearest to its mask, a picture without a mask by the mean of all."""
    teacher_input_range: Literal["0..1", "-1..1", "0..255", "imagenet"] | None = None
    """For teachers of another project, .tflite files without a card: what the bytes 0 to 255 are scaled to."""
    teacher_cache: Path | None = None
    """Folder of the predictions, which later runs use again (default: OUT/teacher-cache)."""
    unlabelled: Path | None = None
    """Folder of further pictures, without masks: the teacher's alone with --teacher, and self-training's with --rounds."""
    view_teacher: tuple[Path, ...] = ()
    """Float checkpoints (.h5) or float files of export.py, to imitate in each sample as it is trained on, composites too. They run beside
    the net in every step, on the sample and its mirror image; of several the mean of their logits teaches."""
    distill_weight: float = 1.0
    """Weight of the loss against the teacher."""
    distill_temperature: float = 2.0
    """By this the logits of teacher and student are divided before they are compared: above 1, small probs count more."""
    distill_boundary: float = 0.0
    """K: where the teacher has an edge or is unsure, a pixel weighs up to 1 + K times as much."""
    encoder_teacher: Path | None = None
    """A float checkpoint (.h5) or float file of export.py, whose encoder's features, at 1/4 to 1/32, the net's own have to hold: for
    encoders without pretrained weights. It runs beside the net in every step."""
    encoder_weight: float = 1.0
    """Weight of that loss, the share of the teacher's variance that the features do not explain."""
    rounds: int = 1
    """Rounds of training; after each, the best net's own masks of the unlabelled pictures are added to the next one's training set."""
    confidence: float = 0.9
    """What such a mask must reach to be added, in [0,1]: its area at prob 0.75 as a share of its area at prob 0.25."""

    def check_teaching(self) -> None:
        """See that the settings make sense together.

        Raises:
            InputError: a number is out of range, or a setting lacks another one.
        """
        if self.rounds < 1 or not 0 <= self.confidence <= 1:
            raise InputError(f"rounds must be at least 1 and confidence in [0,1], got {self.rounds} and {self.confidence}")
        if min(self.distill_weight, self.distill_temperature, self.encoder_weight) <= 0 or self.distill_boundary < 0:
            raise InputError(
                "distill-weight, distill-temperature and encoder-weight must be above 0, distill-boundary at least 0; "
                "leave out --teacher or --encoder-teacher for none"
            )
        if self.encoder_weight != TeacherSettings.encoder_weight and not self.encoder_teacher:
            raise InputError("--encoder-weight concerns an encoder that teaches; give --encoder-teacher MODEL too")
        if self.unlabelled and not self.teacher and self.rounds == 1:
            raise InputError("nothing says what is in the --unlabelled pictures; give a --teacher MODEL, or --rounds 2 to teach itself")
        if self.rounds > 1 and not self.unlabelled:
            raise InputError(f"--rounds {self.rounds} needs pictures to teach itself with; give --unlabelled DIR")
        needing = ("distill_weight", "distill_temperature", "distill_boundary")
        if self.teacher and self.view_teacher:
            raise InputError("a sample is taught by --teacher or by --view-teacher, not by both; leave out one of them")
        if self.teacher_input_range and not self.teacher:
            raise InputError("--teacher-input-range concerns a teacher of another project; give --teacher MODEL.tflite too")
        given = [item.name for item in fields(TeacherSettings) if item.name in needing and getattr(self, item.name) != item.default]
        if given and not (self.teacher or self.view_teacher):
            flags = ", ".join("--" + name.replace("_", "-") for name in given)
            raise InputError(f"{flags} concerns a teacher; give --teacher or --view-teacher MODEL too")
