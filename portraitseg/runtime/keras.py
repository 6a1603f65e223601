"""Checkpoints (.h5) run by Keras, built from their card and filled with their weights."""

from pathlib import Path

import numpy as np

from portraitseg.image import Array
from portraitseg.runtime.tensorflow import start
from portraitseg.runtime.tensors import Tensor


class Keras:
    """A checkpoint's net up to its logits."""

    def __init__(self, path: Path, threads: int) -> None:
        """Build the net of `path`."""
        tf = start(threads)
        from portraitseg import archs, checkpoint

        model, card = checkpoint.load(path)
        trunk = archs.logits_model(model)
        self.inputs = [Tensor(name="image", shape=(1, *card.size, card.channels), dtype=np.float32)]
        self.outputs = [Tensor(name="logits", shape=(1, *card.size, card.classes), dtype=np.float32)]
        self._net = tf.function(lambda x: trunk(x, training=False))

    def __call__(self, x: Array, output: int) -> Array:
        """See `Engine`."""
        return np.asarray(self._net(x), np.float32)


def open_engine(path: Path, threads: int) -> Keras:
    """Build the net of `path`.

    Raises:
        InputError: the checkpoint or its card is missing, broken, or of another net.
        ImportError: TensorFlow is not installed.
    """
    return Keras(path, threads)
