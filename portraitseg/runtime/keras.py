"""Checkpoints (.h5) run by Keras: the one runtime that needs TensorFlow, which is imported only when one is opened."""

import contextlib
from pathlib import Path

import numpy as np

from portraitseg.image import Float32, UInt8, to_input
from portraitseg.quiet import load_tensorflow
from portraitseg.runtime.base import as_input, person


class Keras:
    """A checkpoint, built from its card and filled with its weights."""

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        """Build the net of `path`.

        Raises:
            InputError: the checkpoint or its card is missing, broken, or of another net.
            ImportError: TensorFlow is not installed.
        """
        tf = load_tensorflow()
        with contextlib.suppress(RuntimeError):  # TensorFlow runs already; its threads cannot be changed any more
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        from portraitseg import archs, checkpoint

        model, self.card = checkpoint.load(path)
        trunk = archs.logits_model(model)
        self._net = tf.function(lambda x: trunk(x, training=False))

    def __call__(self, image: UInt8) -> Float32:
        """See `Runtime`."""
        return self.run(to_input(image, self.card))

    def run(self, x: Float32 | UInt8) -> Float32:
        """See `Runtime`."""
        logits = self._net(as_input(x, self.card)[None])
        return person(np.asarray(logits, np.float32)[0], self.card)
