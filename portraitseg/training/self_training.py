"""The training set of each round: a teacher's probs for every picture, and the masks that the last round's net makes itself."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from portraitseg import image
from portraitseg.data.sources import Dataset, Folder, Source
from portraitseg.data.unlabelled import Joined, Masked, Panel, Predictions, Taught, Unlabelled, find_pictures
from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.training.config import TrainConfig
from portraitseg.training.teacher import Teacher, read_digests

SURE, POSSIBLE = 191, 64
"""Probs 0.75 and 0.25, of 255."""
HALF = 127


def confidence(prob: UInt8) -> float:
    """How sharply a prob (H,W), 0 to 255, is cut out, in [0,1]: its area at 0.75 as a share of its area at 0.25.

    That is the IoU of the masks at the two thresholds (the stability score of Kirillov 2023, arXiv:2304.02643). Without a person it is
    0: a net that has overlooked somebody is as sure as one that looks at an empty room.
    """
    return float((prob >= SURE).sum() / max(1, (prob >= POSSIBLE).sum()))


class Rounds:
    """The training sets of a run's rounds.

    Round 1 has the masks that were given. Each later round adds the unlabelled pictures of whose masks the best net of the round
    before is sure, with its probs as masks, and starts a new net (noisy student: Xie 2020, arXiv:1911.04252). With a teacher, its
    probs of all pictures are learned beside the masks in every round, and those of pictures without a mask alone.
    """

    def __init__(self, settings: TrainConfig, dataset: Dataset) -> None:
        """Open the teacher and find the unlabelled pictures.

        Raises:
            InputError: the teacher or the folder cannot be used.
        """
        self.settings, self.dataset = settings, dataset
        self.cache = settings.teacher_cache or settings.out / "teacher-cache"
        self.report: list[str] = []
        self.teachers = [Teacher(path, self.cache, input_range=settings.teacher_input_range) for path in settings.teacher]
        self.unlabelled: Unlabelled | None = None
        if settings.unlabelled:
            self.unlabelled, self.report = find_pictures(settings.unlabelled, _files(dataset.train) | _files(dataset.val))

    def dataset_of(self, student: Path | None) -> tuple[Dataset, list[str]]:
        """The training set of a round, and the lines to print about it.

        Args:
            student: the best checkpoint of the round before; None in round 1.

        Raises:
            InputError: the student is sure of no picture's mask.
        """
        labelled, rest, report = self.dataset.train, self.unlabelled, list[str]()
        if student and self.unlabelled:
            pseudo, rest, report = self._pseudo(self.unlabelled, student)
            labelled = Joined(labelled, pseudo)
        if self.teachers:
            labelled, more = taught(labelled, rest, self.teachers)
            report += more
        return replace(self.dataset, train=labelled), report

    def _pseudo(self, pictures: Unlabelled, student: Path) -> tuple[Source, Unlabelled, list[str]]:
        """The pictures with the student's own masks, the pictures of whose masks it is not sure, and the lines to print."""
        probs, least = Teacher(student, self.cache).predict(pictures), self.settings.confidence
        values = np.array([_confidence(path) for path in probs.paths])
        sure, unsure = (np.flatnonzero(chosen).tolist() for chosen in (values >= least, values < least))
        spread = f"confidence {np.median(values):.2f} in the middle and {values.max():.2f} at the most, {least:g} wanted"
        if not sure:
            raise InputError(f"{student} is sure of none of its {len(values)} masks: {spread}; lower --confidence or train longer")
        report = [f"{student} is sure of its masks of {len(sure)} of {len(values)} unlabelled pictures, which are added ({spread})"]
        return Masked(pictures.take(sure), probs.take(sure)), pictures.take(unsure), report


def taught(labelled: Source, rest: Unlabelled | None, teachers: Sequence[Teacher]) -> tuple[Taught, list[str]]:
    """Every picture with its teacher's prob, which also stands in for the masks of the rest, and the lines to print.

    Of several teachers the one whose prob, cut at 0.5, has the largest IoU with the mask teaches a picture: each knows another kind of
    picture best, and the masks tell which. How soft a teacher's edges are shall not count. Pictures without a mask get the mean of all.
    """
    whole = Joined(labelled, rest) if rest else labelled
    digests = read_digests(whole)
    predictions = [teacher.predict(whole, digests) for teacher in teachers]
    probs: Predictions | Panel = predictions[0]
    report: list[str] = []
    count = len(labelled)
    if len(teachers) > 1:
        bar = tqdm(range(count), "choosing teachers", unit="picture", delay=1, dynamic_ncols=True)
        nearest = [_nearest(labelled, index, predictions) for index in bar]
        everyone = tuple(range(len(teachers)))
        probs = Panel(tuple(predictions), (*((number,) for number in nearest), *[everyone] * (len(whole) - count)))
        report = [f"{teacher.path} teaches {nearest.count(number)} of {count} pictures" for number, teacher in enumerate(teachers)]
    source = Joined(labelled, Masked(rest, probs.take(range(count, len(whole))))) if rest else labelled
    return Taught(source, probs, count, "+".join(teacher.digest for teacher in teachers)), report


def _nearest(source: Source, index: int, predictions: Sequence[Predictions]) -> int:
    """Number of the teacher whose prob comes nearest to the mask; 0 for a picture that cannot be read, which training replaces."""
    try:
        _, mask = source.load(index)
        return int(np.argmax([_iou(each.load(index, mask.shape) > HALF, mask > HALF) for each in predictions]))
    except InputError:
        return 0


def _iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Of two masks (H,W), in [0,1]; of two empty ones 1."""
    return float(((found & truth).sum() + 1) / ((found | truth).sum() + 1))


def _confidence(path: Path) -> float:
    return confidence(image.read(path)[..., 0]) if path.is_file() else 0.0


def _files(source: Source) -> set[Path]:
    return {pair.image.resolve() for pair in source.pairs} if isinstance(source, Folder) else set()
