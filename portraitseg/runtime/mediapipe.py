"""MediaPipe Tasks' ImageSegmenter, on a .tflite of `export.py --format mediapipe`; only on request, since LiteRT runs the same file."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np

from portraitseg.card import Card
from portraitseg.errors import InputError, one_line
from portraitseg.image import Array
from portraitseg.runtime import cards
from portraitseg.runtime.tensors import Tensor

INSTALL = "python -m venv mp && mp/bin/pip install mediapipe==1.2.2 tyro tqdm && mp/bin/pip install --no-deps -e ."


class MediaPipe:
    """A segmenter. It is fed a picture's bytes at the net's size, so that it has nothing to resize."""

    def __init__(self, path: Path, card: Card) -> None:
        """See `open_engine`."""
        self._package = _package()
        from mediapipe.tasks.python import BaseOptions, vision

        base = BaseOptions(model_asset_path=str(path))
        options = vision.ImageSegmenterOptions(base_options=base, output_confidence_masks=True, output_category_mask=False)
        self._segmenter = vision.ImageSegmenter.create_from_options(options)
        weakref.finalize(self, _close, self._segmenter)
        scale, zero = 1 / card.input.std[0], card.input.mean[0]
        self.inputs = [Tensor(name="image", shape=(1, *card.size, 3), dtype=np.uint8, scale=scale, zero_point=zero)]
        self.outputs = [Tensor(name="prob", shape=(1, *card.size, card.classes), dtype=np.float32)]

    def __call__(self, x: Array, output: int) -> Array:
        """See `Engine`."""
        picture = self._package.Image(image_format=self._package.ImageFormat.SRGB, data=x[0])
        masks = self._segmenter.segment(picture).confidence_masks
        return np.concatenate([mask.numpy_view().reshape(*x.shape[1:3], 1) for mask in masks], axis=2)[None]


def open_engine(path: Path, threads: int) -> MediaPipe:
    """Open with MediaPipe, which chooses its threads itself.

    Raises:
        InputError: the file was not exported for MediaPipe, or that refuses it.
        ImportError: the package is not installed; with how to install it.
    """
    card = cards.inside(path)
    if card is None:
        raise InputError(f"{path} has no card inside, which tells how MediaPipe is fed; export.py --format mediapipe writes one that has")
    _package()
    try:
        return MediaPipe(path, card)
    except (RuntimeError, ValueError, OSError) as error:
        raise InputError(f"MediaPipe cannot open {path}: {one_line(error)}; export it with --format mediapipe") from error


def _close(segmenter: Any) -> None:
    """Close it; when the interpreter ends its threads are gone already, and it would complain once more when it is deleted."""
    try:
        segmenter.close()
    except RuntimeError:
        segmenter._handle = None


def _package() -> Any:
    try:
        import mediapipe
    except ModuleNotFoundError as error:
        raise ImportError(
            f'this needs the Python package "{error.name}", which cannot be installed beside the extra "train" (both pin absl-py); '
            f"make an environment for it, in the clone: {INSTALL}"
        ) from error
    return mediapipe
