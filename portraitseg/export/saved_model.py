"""Deploy graph -> a SavedModel: a folder for TensorFlow and TensorFlow Serving, signature `serving_default`: image -> prob."""

from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from portraitseg.export.function import function
from portraitseg.quiet import quiet


def write(model: keras.Model, path: Path) -> None:
    """Write a deploy graph, (1,H,W,C) -> prob, into the new folder `path`; its weights stay variables."""
    module = tf.Module()
    module.held = model.variables
    with quiet():
        tf.saved_model.save(module, str(path), signatures=function(model))
