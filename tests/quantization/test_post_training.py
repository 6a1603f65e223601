"""Float .tflite to int8: equalisation, bias correction, ranges in the file, layers left float, int16 activations."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg.errors import InputError
from portraitseg.export import tflite
from portraitseg.quantization.post_training import bias
from portraitseg.quantization.post_training.equalise import INPUT_AXIS, OUTPUT_AXIS, equalise, spans
from portraitseg.quantization.post_training.quantize import Recipe, layer_tensors, to_int8, to_int16x8
from portraitseg.quantization.post_training.statistics import BINS, collect
from portraitseg.quantization.post_training.tflite_graph import TFLiteGraph
from portraitseg.quantization.post_training.thresholds import METHODS

SIZE = 16


def _pictures(count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32) for _ in range(count)]


def _net(*, activation: str = "relu", middle: list | None = None) -> keras.Model:
    """Convolution, depthwise, [middle,] convolution, with weights of one size throughout."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.Conv2D(8, 3, padding="same", activation=activation, name="first")(image)
    x = layers.DepthwiseConv2D(3, padding="same", activation=activation, name="second")(x)
    for layer in middle or []:
        x = layer(x)
    model = keras.Model(image, layers.Conv2D(2, 1, name="third")(x))
    rng = np.random.default_rng(2)
    for weight in model.weights:
        weight.assign(rng.uniform(-1, 1, weight.shape))
    return model


def _uneven(model: keras.Model, most: float = 1e3) -> keras.Model:
    """The same function, with the channels behind the first convolution up to `most` times as large or as small."""
    factors = np.geomspace(1 / most, most, 8)
    kernel, offset = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel * factors, offset * factors])
    kernel, offset = model.get_layer("second").get_weights()
    model.get_layer("second").set_weights([kernel / factors[:, None], offset])
    return model


def _file(model: keras.Model) -> bytes:
    return tflite.convert(model, "fp32")


def _run(content: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _error(content: bytes, int8: bytes) -> float:
    return float(np.mean([np.square(_run(content, x) - _run(int8, x)).mean() for x in _pictures()]))


def _weights(content: bytes) -> list[tuple[str, np.ndarray]]:
    flat = TFLiteGraph(content)
    return [(flat.kind(op), flat.values(op.inputs[1])) for op in flat.graph.operators if flat.kind(op) in OUTPUT_AXIS]


def test_equalisation_keeps_the_function_and_evens_the_weights() -> None:
    content = _file(_uneven(_net()))
    result = equalise(content)
    assert (result.pairs, result.bounded) == (2, 0)
    for x in _pictures():
        np.testing.assert_allclose(_run(result.content, x), _run(content, x), rtol=1e-4, atol=1e-4)
    (one, first), (two, second), (three, third) = _weights(result.content)
    np.testing.assert_allclose(spans(first, OUTPUT_AXIS[one]), spans(second, INPUT_AXIS[two]), rtol=0.01)
    np.testing.assert_allclose(spans(second, OUTPUT_AXIS[two]), spans(third, INPUT_AXIS[three]), rtol=0.01)
    before = spans(_weights(content)[0][1], 0)
    after = spans(first, 0)
    assert before.max() / before.min() > 1e5
    assert after.max() / after.min() < 20


def test_equalisation_helps_int8() -> None:
    content = _file(_uneven(_net(), 30))
    plain, evened = (to_int8(content, _pictures(), Recipe(method="minmax", equalise=on), io="float") for on in (False, True))
    assert _error(content, evened) < 0.1 * _error(content, plain)


@pytest.mark.parametrize("middle", [[layers.MaxPooling2D(2)], [layers.UpSampling2D(2, interpolation="bilinear")]], ids=["pool", "resize"])
def test_equalisation_sees_through_what_keeps_factors(middle: list) -> None:
    content = _file(_net(middle=middle))
    result = equalise(content)
    assert result.pairs == 2
    np.testing.assert_allclose(_run(result.content, _pictures()[0]), _run(content, _pictures()[0]), rtol=1e-4, atol=1e-4)


def test_a_relu6_is_left_alone() -> None:
    content = _file(_net(activation="relu6"))
    result = equalise(content)
    assert (result.pairs, result.bounded) == (0, 2)
    np.testing.assert_array_equal(_run(result.content, _pictures()[0]), _run(content, _pictures()[0]))


def _planted() -> keras.Model:
    """Weights of 127 and 3.4: int8 makes 3 of the latter, each time 0.4 too little."""
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    model = keras.Model(image, layers.Conv2D(1, 1, name="only")(layers.Conv2D(8, 1, activation="relu", name="ones")(image)))
    model.get_layer("ones").set_weights([np.zeros((1, 1, 3, 8)), np.ones(8)])
    model.get_layer("only").set_weights([np.array([127.0] + [3.4] * 7).reshape(1, 1, 8, 1), np.zeros(1)])
    return model


def test_bias_correction_takes_off_a_planted_bias() -> None:
    content = _file(_planted())
    x = _pictures()[0]
    assert _run(content, x).mean() == pytest.approx(127 + 7 * 3.4)
    plain, corrected = (to_int8(content, [x], Recipe(method="minmax", bias_correction=on), io="float") for on in (False, True))
    assert _run(content, x).mean() - _run(plain, x).mean() == pytest.approx(7 * 0.4, abs=0.6)  # a step of the output is 0.6
    assert abs(_run(content, x).mean() - _run(corrected, x).mean()) < 0.6
    flat = TFLiteGraph(bias.correct(content, collect(content, [x])))
    last = flat.graph.operators[-1]
    assert flat.values(last.inputs[2])[0] == pytest.approx(7 * 0.4, rel=1e-4)


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "grouped"])
def test_the_shift_is_what_tensorflow_adds_up(kind: str) -> None:
    """A picture that holds its mean everywhere, away from the border."""
    rng = np.random.default_rng(3)
    means = rng.uniform(0, 2, 4)
    x = tf.constant(np.broadcast_to(means, (1, 12, 12, 4)), tf.float64)
    stride = 2 if kind == "TRANSPOSE_CONV" else 1
    if kind == "DEPTHWISE_CONV_2D":
        errors = rng.normal(0, 0.1, (1, 3, 3, 4))
        made = tf.nn.depthwise_conv2d(x, errors.transpose(1, 2, 3, 0), [1, 1, 1, 1], "VALID")
    elif kind == "TRANSPOSE_CONV":
        errors = rng.normal(0, 0.1, (6, 4, 4, 4))
        made = tf.nn.conv2d_transpose(x, errors.transpose(1, 2, 0, 3), (1, 24, 24, 6), 2, "SAME")[:, 4:-4, 4:-4]
    else:
        errors = rng.normal(0, 0.1, (6, 3, 3, 2 if kind == "grouped" else 4))
        halves = [(x, errors)] if kind == "CONV_2D" else [(x[..., :2], errors[:3]), (x[..., 2:], errors[3:])]
        made = tf.concat([tf.nn.conv2d(part, kernel.transpose(1, 2, 3, 0), 1, "VALID") for part, kernel in halves], 3)
    shift = bias.shift(kind.replace("grouped", "CONV_2D"), errors.astype(np.float32), means, stride * stride)
    np.testing.assert_allclose(shift, np.mean(made, (0, 1, 2)), rtol=1e-4)


def test_statistics_by_numpy() -> None:
    content = _file(_net())
    pictures = _pictures()
    found = collect(content, pictures, histograms=True)
    output = int(TFLiteGraph(content).graph.outputs[0])
    values = np.stack([_run(content, x) for x in pictures])
    np.testing.assert_allclose(found[output].lows, values.min((1, 2, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(found[output].means, values.mean((0, 1, 2, 3)), rtol=1e-4)
    counts, _ = np.histogram(values, BINS, (found[output].low, found[output].high))
    assert found[output].counts.sum() == values.size
    assert np.abs(np.cumsum(counts) - np.cumsum(found[output].counts)).max() <= 3  # values that lie on an edge, to a float's last digit


def test_a_net_that_gives_nan_is_named() -> None:
    model = _net()
    model.get_layer("second").set_weights([weight * np.nan for weight in model.get_layer("second").get_weights()])
    with pytest.raises(InputError, match="layer second gives NaN"):
        collect(_file(model), _pictures())


def test_minmax_gives_every_tensor_the_scale_of_tensorflows_own_calibrator() -> None:
    model = _net()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ([x] for x in _pictures())
    theirs, ours = (
        sorted(
            (tuple(d["shape"]), np.round(d["quantization"], 6).tolist()) for d in Interpreter(model_content=content).get_tensor_details()
        )
        for content in (converter.convert(), to_int8(_file(model), _pictures(), Recipe(method="minmax"), io="float"))
    )
    assert ours == theirs


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_file_that_says_the_same(method: str) -> None:
    content = _file(_net())
    int8 = to_int8(content, _pictures(), Recipe(method=method), io="float")
    spread = np.var([_run(content, x) for x in _pictures()])
    assert _error(content, int8) < 0.002 * spread
    floats = [d["name"] for d in Interpreter(model_content=int8).get_tensor_details() if d["dtype"] == np.float32]
    assert len(floats) == 2  # the ends


def test_a_layer_can_stay_float() -> None:
    content = _file(_net())
    int8 = to_int8(content, _pictures(), Recipe(method="minmax", keep_float=("second",)), io="float")
    kinds = {d["name"].split("/")[1]: d["dtype"] for d in Interpreter(model_content=int8).get_tensor_details() if d["name"].count("/") >= 2}
    assert kinds["second"] == np.float32
    assert kinds["first"] == np.int8
    assert _error(content, int8) < _error(content, to_int8(content, _pictures(), Recipe(method="minmax"), io="float"))
    with pytest.raises(InputError, match=r"no layer fourth to keep float; those of the deploy graph are .*first, second"):
        layer_tensors(content, ["fourth"])


def test_int16_activations_are_finer() -> None:
    content = _file(_net())
    finer = to_int16x8(content, _pictures(), io="float")
    kinds = Counter(np.dtype(d["dtype"]).name for d in Interpreter(model_content=finer).get_tensor_details())
    assert kinds["int16"] >= 4
    assert kinds["int64"] == 3  # the biases
    assert _error(content, finer) < 0.5 * _error(content, to_int8(content, _pictures(), Recipe(method="minmax"), io="float"))
    assert {d["dtype"] for d in Interpreter(model_content=to_int16x8(content, _pictures(), io="int16")).get_input_details()} == {np.int16}
