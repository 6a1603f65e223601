"""A net of quantization-aware training -> int8 .tflite, with the ranges that were learned: no calibration."""

import tensorflow as tf
import tf_keras as keras

from portraitseg.card import Card
from portraitseg.export import tflite
from portraitseg.quantization import qat
from portraitseg.quiet import quiet


def convert(model: keras.Model, card: Card, *, io: str = "uint8") -> bytes:
    """Convert a checkpoint's net.

    Args:
        model: of `qat.prepare` or `qat.build`.
        card: its card.
        io: data type of the file's input and output: "uint8", "int8" or "float".

    Returns:
        The file's content.
    """
    graph, _ = qat.to_ship(model, card)
    converter = tflite._converter(graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]  # with ranges in the graph: full integer
    converter.inference_input_type = converter.inference_output_type = tflite.IO[io]
    with quiet():
        return bytes(converter.convert())
