"""A teacher predicts each picture once, before training; its probs are kept on disk, by the content of picture and teacher."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import TypeVar

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
UNREADABLE = "unreadable"
T = TypeVar("T")


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

    def predict(self, source: Source, digests: Sequence[str] = ()) -> Predictions:
        """Predict every picture of a source that was not predicted before; an interruption loses the last one only.

        A picture that cannot be read gets a path that does not exist; training then replaces it as any other broken sample.

        Args:
            source: the pictures.
            digests: of `read_digests`, where several teachers predict the same source; they are made if left out.

        Raises:
            InputError: the teacher's output holds NaN, or the disk is full.
        """
        digests = digests or read_digests(source)
        title = f"{self.path.parent.name}/{self.path.name} predicts"
        paths = _in_parallel(lambda index: self._path(source, index, digests[index]), len(source), title)
        return Predictions(tuple(paths), self.runtime.card.fit)

    def _path(self, source: Source, index: int, digest: str) -> Path:
        """The file of a picture's prob, made if it is not there and whole."""
        path = self.folder / f"{digest}.png"
        if digest != UNREADABLE and not _is_whole(path):
            image.write(path, self._prob(source.load(index)[0], source.name(index)), force=True)
        return path

    def _prob(self, picture: UInt8, name: str) -> UInt8:
        with self._lock:
            prob = self.runtime(picture)
        if not np.isfinite(prob).all():
            raise InputError(f"the teacher {self.path} gives NaN for {name}; export it again, or choose another")
        return np.rint(255 * prob).astype(np.uint8)


def read_digests(source: Source) -> list[str]:
    """A hash of each picture's pixels, `UNREADABLE` of those that cannot be read."""

    def digest(index: int) -> str:
        try:
            picture, _ = source.load(index)
        except InputError as error:
            tqdm.write(f"warning: not shown to the teacher: {error}")
            return UNREADABLE
        return hashlib.sha256(str(picture.shape).encode() + picture.tobytes()).hexdigest()[:32]

    return _in_parallel(digest, len(source), "reading the pictures")


def _in_parallel(work: Callable[[int], T], count: int, title: str) -> list[T]:
    """`work` of all numbers below `count`, in order, with a progress bar; a Ctrl-C does not wait for those that are left."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        return list(tqdm(pool.map(work, range(count)), title, count, unit="picture", delay=1, dynamic_ncols=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _is_whole(path: Path) -> bool:
    """Whether the file is there and decodes, its checksums being right."""
    try:
        image.read(path)
    except InputError:
        return False
    return True
