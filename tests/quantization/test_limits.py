"""What of a tensor matters to the layers that take it, and what the int8 file's range makes of that."""

import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg.export import tflite
from portraitseg.layers import HardSwish
from portraitseg.quantization.post_training.limits import limits
from portraitseg.quantization.post_training.quantize import Recipe, to_int8
from portraitseg.quantization.post_training.statistics import collect
from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph, layers_of
from portraitseg.rewrite.int8_graph import to_int8_graph

SIZE = 8


def _picture() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)


def _file(*, beside: bool = False) -> bytes:
    """Convolution (-40 to 5 on the picture), hard-swish, convolution (-30 to 30), sigmoid; `beside` another that takes the first."""
    keras.utils.set_random_seed(3)
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.Conv2D(4, 1, name="wide")(image)
    y = layers.Conv2D(1, 1, name="logits")(HardSwish(name="swish")(x))
    y = layers.Add()([y, layers.Conv2D(1, 1, name="beside")(x)]) if beside else y
    model = keras.Model(image, layers.Activation("sigmoid", name="prob")(y))
    for layer, (low, high) in (("wide", (-40, 5)), ("logits", (-30, 30))):
        made = keras.Model(image, model.get_layer(layer).output)(_picture()).numpy()
        kernel, bias = model.get_layer(layer).get_weights()
        factor = (high - low) / (made.max() - made.min())
        model.get_layer(layer).set_weights([kernel * factor, bias + low - made.min() * factor])
    return tflite.convert(to_int8_graph(model), "fp32")


def _named(content: bytes) -> dict[str, tuple[float, float]]:
    flat = TFLiteGraph(content)
    return {layers_of(flat.name(index))[0]: ends for index, ends in limits(flat).items()}


def test_limits_by_hand() -> None:
    """A hard swish is 0 below -3; a sigmoid of 8 is 0.99966."""
    assert _named(_file()) == {"wide": (-3, np.inf), "logits": (-8, 8)}
    assert 1 / (1 + np.exp(-8)) == pytest.approx(0.99966, abs=1e-5)


def test_what_another_layer_takes_matters_too() -> None:
    assert "wide" not in _named(_file(beside=True))


def test_values_beyond_count_as_the_ends() -> None:
    content = _file()
    flat, found = TFLiteGraph(content), collect(content, [_picture()], histograms=True)
    ends = {layers_of(flat.name(index))[0]: (statistics.low, statistics.high) for index, statistics in found.items()}
    assert ends["wide"] == pytest.approx((-3, 5), abs=1e-3)
    assert ends["logits"] == (-8, 8)


@pytest.mark.parametrize("method", ["minmax", "percentile"])
def test_steps_are_as_fine_as_what_matters_allows(method: str) -> None:
    """8 / 255 instead of 45 / 255, and a probability that is still right to a step or two of the 256."""
    content = _file()
    int8 = to_int8(content, [_picture()], Recipe(method=method, equalise=False, rounding="nearest"), io="float")
    made = {}
    for file in (content, int8):
        interpreter = Interpreter(model_content=file)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], _picture())
        interpreter.invoke()
        made[file] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        steps = {layers_of(d["name"])[0]: d["quantization"][0] for d in interpreter.get_tensor_details() if d["name"].count("/") > 1}
    assert steps["wide"] == pytest.approx(8 / 255, rel=0.03)
    assert steps["logits"] == pytest.approx(16 / 255, rel=0.03)
    assert np.abs(made[content] - made[int8]).mean() < 2 / 256
