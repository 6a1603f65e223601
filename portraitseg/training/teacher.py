"""A teacher predicts each picture once, before training; its probs are kept on disk, by the content of picture and teacher."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Lock

import numpy as np
import tf_keras as keras
from tqdm import tqdm

from portraitseg import image
from portraitseg.data.sources import Source
from portraitseg.data.unlabelled import Predictions
from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.runtime import foreign_card, has_card, open_artifact

THREADS = 3
"""Pictures in work at once: one in the net, the others being read and hashed."""


class Teacher:
    """A model and the folder of its predictions."""

    def __init__(self, path: Path, cache: Path, *, input_range: str | None = None) -> None:
        """Open the model.

        Args:
            path: a checkpoint (.h5) or an artifact (.tflite).
            cache: folder of all teachers' predictions; this one's go into a folder in it.
            input_range: for a .tflite without a card, see `foreign_card`.

        Raises:
            InputError: the model is missing, broken, without a card, or does not fit its card.
        """
        keras.mixed_precision.set_global_policy("float32")  # a round before may have set another; a prediction must not depend on that
        try:
            card = foreign_card(path, input_range=input_range) if input_range and not has_card(path) else None
            self.runtime = open_artifact(path, card=card, threads=os.cpu_count() or 2)  # a checkpoint's hold for the training too
        except InputError as error:
            text = str(error).replace("--input-range", "--teacher-input-range")
            raise InputError(f"cannot use the teacher: {text}") from error
        content = path.read_bytes() + json.dumps(asdict(self.runtime.card), sort_keys=True).encode()
        self.digest = hashlib.sha256(content).hexdigest()[:32]
        self.path, self.folder = path, cache / f"{path.stem}-{self.digest}"
        self._lock = Lock()

    def predict(self, source: Source) -> Predictions:
        """Predict every picture of a source that was not predicted before; an interruption loses the last one only.

        A picture that cannot be read gets a path that does not exist; training then replaces it as any other broken sample.

        Raises:
            InputError: the teacher's output holds NaN, or the disk is full.
        """
        numbers, pool = range(len(source)), ThreadPoolExecutor(THREADS)
        title = f"{self.path.parent.name}/{self.path.name} predicts"
        try:
            made = pool.map(lambda index: self._path(source, index), numbers)
            paths = tuple(tqdm(made, title, len(numbers), unit="picture", delay=1, dynamic_ncols=True))
        finally:
            pool.shutdown(cancel_futures=True)  # a Ctrl-C does not wait for the pictures that are left
        return Predictions(paths, self.runtime.card.fit)

    def _path(self, source: Source, index: int) -> Path:
        """The file of a picture's prob, made if it is not there and whole."""
        try:
            picture, _ = source.load(index)
        except InputError as error:
            tqdm.write(f"warning: not shown to the teacher: {error}")
            return self.folder / "unreadable.png"
        path = self.folder / f"{_digest(picture)}.png"
        if not _is_whole(path):
            image.write(path, self._prob(picture, source.name(index)), force=True)
        return path

    def _prob(self, picture: UInt8, name: str) -> UInt8:
        with self._lock:
            prob = self.runtime(picture)
        if not np.isfinite(prob).all():
            raise InputError(f"the teacher {self.path} gives NaN for {name}; export it again, or choose another")
        return np.rint(255 * prob).astype(np.uint8)


def _digest(picture: UInt8) -> str:
    return hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).hexdigest()[:32]


def _is_whole(path: Path) -> bool:
    """Whether the file is there and decodes, its checksums being right."""
    try:
        image.read(path)
    except InputError:
        return False
    return True
