"""A trained harmonizer -> .tflite: float, or int8 throughout, with its card."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from portraitseg import checkpoint
from portraitseg.archs import harmonizer
from portraitseg.card import Card, card_path
from portraitseg.data.harmonization import Stored
from portraitseg.files import atomic
from portraitseg.image import Float32
from portraitseg.parts import sha256
from portraitseg.quantization.post_training.quantize import Recipe, to_int8
from portraitseg.quiet import quiet

PICTURES = 128
"""That set the ranges of int8."""


def load(path: Path) -> tuple[keras.Model, Card]:
    """Net and card of a checkpoint that `training.harmonizer` wrote.

    Raises:
        InputError: the file is missing or holds another net's weights.
    """
    card = checkpoint.read_card(path)
    net = harmonizer.build(card.size[0])
    checkpoint.load_weights(net, card, path)
    return net, card


def export(path: Path, out: Path, quant: str, pictures: Stored) -> Path:
    """Write the .tflite file of a checkpoint, and its card beside it.

    Args:
        path: the checkpoint.
        out: folder.
        quant: "fp32" or "int8"; int8 takes and gives bytes, the input those of picture and mask themselves.
        pictures: that int8's ranges are found with.

    Returns:
        The file: NAME-QUANT.tflite.

    Raises:
        InputError: as `load`, or the folder cannot be written to.
    """
    net, card = load(path)
    file, recipe = out / f"{card.name}-{quant}.tflite", Recipe(method="minmax")
    with quiet():
        content = _convert(net)
        if quant == "int8":
            content = to_int8(content, list(_inputs(pictures)), recipe, io="uint8")
    with atomic(file) as temporary:
        temporary.write_bytes(content)
    calibration = {"pictures": min(PICTURES, len(pictures)), **recipe.as_card()} if quant == "int8" else {}
    io = "uint8" if quant == "int8" else "float32"
    replace(card, quant=quant, io=io, calibration=calibration, sha256=sha256(file)).save(card_path(file))
    return file


def _convert(net: keras.Model) -> bytes:
    """A float file for batches of one."""
    module = tf.Module()
    module.held = net.variables
    spec = tf.TensorSpec((1, *net.input_shape[1:]), tf.float32, name="composite")
    function = tf.function(lambda composite: {"numbers": net(composite, training=False)}, input_signature=[spec])
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module).convert())


def _inputs(pictures: Stored) -> Iterator[Float32]:
    """Composites (1,h,w,4) in [0,1]; the first with a black and a white corner, so that the input's range is a byte's."""
    step = max(1, len(pictures) // PICTURES)
    chosen = Stored(pictures.samples[::step][:PICTURES])
    number = 0
    for pair in chosen.pairs(seed=0):
        for composite, mask in zip(pair.composite, pair.mask, strict=True):
            x = np.dstack([composite, mask]).astype(np.float32)[None] / np.float32(255)
            if not number:
                x[0, 0, 0], x[0, -1, -1] = 0, 1
            number += 1
            yield x
