"""A net of quantization-aware training -> int8 .tflite, with the ranges that were learned: no calibration."""

import tempfile
from dataclasses import replace
from pathlib import Path

import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm

from portraitseg import image
from portraitseg.card import Card
from portraitseg.data.sources import Source
from portraitseg.export import tflite
from portraitseg.export.function import function
from portraitseg.metrics import Meter
from portraitseg.quantization import qat
from portraitseg.quiet import quiet
from portraitseg.runtime import open_artifact
from portraitseg.training.validation import Watch


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
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function(graph).get_concrete_function()], graph)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]  # with ranges in the graph: full integer
    converter.inference_input_type = converter.inference_output_type = tflite.IO[io]
    with quiet():
        return bytes(converter.convert())


def score(model: keras.Model, card: Card, source: Source, watch: Watch | None = None) -> dict[str, float]:
    """IoU, mIoU (percent) and MAE of the int8 file that the net becomes, at the masks' own sizes; `watch` sees every prediction."""
    meter = Meter(boundary=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "qat.tflite"
        path.write_bytes(convert(model, card))
        artifact = open_artifact(path, card=replace(card, quant="int8", io="uint8", output="prob"))
        for index in tqdm(range(len(source)), desc="scoring the int8 file", unit="picture", leave=False):
            picture, mask = source.load(index)
            prob = image.from_prob(artifact(picture), (mask.shape[0], mask.shape[1]), card.fit)
            meter.add(source.name(index), prob, mask)
            if watch:
                watch(index, picture, mask, prob)
    return meter.summary()
