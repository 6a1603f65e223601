"""Float .tflite to int8: equalisation, rounding of weights, ranges in the file, layers left float, int16 activations."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg.errors import InputError
from portraitseg.export import tflite
from portraitseg.quantization.post_training import rounding
from portraitseg.quantization.post_training.equalise import Equalised, equalise
from portraitseg.quantization.post_training.quantize import ROUNDINGS, Recipe, layer_tensors, to_int8, to_int16x8
from portraitseg.quantization.post_training.rounding import gptq
from portraitseg.quantization.post_training.statistics import BINS, collect
from portraitseg.quantization.post_training.tflite_graph import OUTPUT_AXIS, TFLiteGraph, layers_of
from portraitseg.quantization.post_training.thresholds import METHODS
from portraitseg.rewrite.subpixel import DepthToSpace

SIZE = 16
PLAIN = Recipe(method="minmax", equalise=False, rounding="nearest")


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


def _equalise(content: bytes) -> Equalised:
    return equalise(content, collect(content, _pictures()))


def _peaks(content: bytes) -> list[np.ndarray]:
    """Of each activation behind the input, by channel."""
    flat, found = TFLiteGraph(content), collect(content, _pictures())
    return [found[index].peaks for index in flat.activations() if index not in flat.graph.inputs]


def test_equalisation_keeps_the_function_and_evens_the_channels() -> None:
    """In front of a depthwise convolution wholly: its rows have one channel each, so that their steps go with the factors."""
    content = _file(_uneven(_net(), 3))
    result = _equalise(content)
    assert (result.groups, result.bounded) == (2, 0)
    for x in _pictures():
        np.testing.assert_allclose(_run(result.content, x), _run(content, x), rtol=1e-4, atol=1e-4)
    before, after = _peaks(content)[0], _peaks(result.content)[0]
    assert before.max() / before.min() > 8
    np.testing.assert_allclose(after, after.mean(), rtol=1e-3)


def test_a_channel_without_values_gets_no_endless_factor() -> None:
    model = _net()
    kernel, offset = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel * (np.arange(8) > 0), offset * (np.arange(8) > 0)])
    content = _file(model)
    result = _equalise(content)
    np.testing.assert_allclose(_run(result.content, _pictures()[0]), _run(content, _pictures()[0]), rtol=1e-4, atol=1e-4)
    assert max(np.abs(weights).max() for _, weights in _weights(result.content)) < 64 * max(np.abs(w).max() for _, w in _weights(content))


def _two(factors: np.ndarray, slope: float) -> keras.Model:
    """Two dense convolutions, the second's weights by channel as its reach to the power `slope`; the channels are divided by `factors`."""
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    middle = layers.Conv2D(12, 1, activation="relu", name="giver")(image)
    model = keras.Model(image, layers.Conv2D(24, 1, name="taker")(middle))
    rng = np.random.default_rng(8)
    reach = np.geomspace(1, 30, 12)
    model.get_layer("giver").set_weights([rng.normal(size=(1, 1, 3, 12)) * reach / factors, rng.normal(size=12) * reach / factors])
    model.get_layer("taker").set_weights([rng.normal(size=(1, 1, 12, 24)) * (factors * reach**slope)[:, None], np.zeros(24)])
    return model


@pytest.mark.parametrize(("slope", "gain"), [(-0.5, 2.5), (0.5, 1.0)], ids=["the tensor loses", "the weights lose"])
def test_the_factors_are_those_that_cost_least(slope: float, gain: float) -> None:
    """The error of the int8 file itself, beside those with the channels scaled by every fifth power of their reach."""
    errors = []
    for power in np.linspace(0, 1, 6):
        content = _file(_two(np.geomspace(1, 30, 12) ** power, slope))
        errors.append(_error(content, to_int8(content, _pictures(), PLAIN, io="float")))
    content = _file(_two(np.ones(12), slope))
    ours = _error(content, to_int8(content, _pictures(), replace(PLAIN, equalise=True), io="float"))
    assert ours < 1.08 * min(errors)
    assert errors[0] > gain * ours


def test_equalisation_helps_int8() -> None:
    content = _file(_uneven(_net(), 30))
    plain, evened = (to_int8(content, _pictures(), replace(PLAIN, equalise=on), io="float") for on in (False, True))
    assert _error(content, evened) < 0.1 * _error(content, plain)


@pytest.mark.parametrize("middle", [[layers.MaxPooling2D(2)], [layers.UpSampling2D(2, interpolation="bilinear")]], ids=["pool", "resize"])
def test_equalisation_sees_through_what_keeps_factors(middle: list) -> None:
    content = _file(_uneven(_net(middle=middle)))
    result = _equalise(content)
    assert (result.groups, result.bounded) == (2, 0)
    np.testing.assert_allclose(_run(result.content, _pictures()[0]), _run(content, _pictures()[0]), rtol=1e-4, atol=1e-4)


def test_what_is_added_has_the_same_factors() -> None:
    """Two convolutions, their sum with a ReLU, and two that take it, one of them the first of the two outputs' alone."""
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    branches = [layers.Conv2D(4, 1, name=name)(image) for name in ("left", "right")]
    total = layers.ReLU()(layers.Add()(branches))
    ends = [layers.Conv2D(2, 1, name="end")(total), layers.Conv2D(2, 1, name="skip")(branches[0])]
    model = keras.Model(image, layers.Concatenate()(ends))
    rng = np.random.default_rng(4)
    for weight in model.weights:
        weight.assign(rng.uniform(-1, 1, weight.shape) * np.geomspace(1, 20, weight.shape[-1]))
    content = _file(model)
    result = _equalise(content)
    assert (result.groups, result.bounded) == (1, 0)
    np.testing.assert_allclose(_run(result.content, _pictures()[0]), _run(content, _pictures()[0]), rtol=1e-4, atol=1e-4)
    (_, before), *_ = _weights(content)
    (_, after), *_ = _weights(result.content)
    assert not np.allclose(before, after)


def _joined(make: Callable[[object, object], object]) -> keras.Model:
    """Two convolutions with ReLUs, one reaching fifty times as far as the other, joined by `make`, and one that takes it."""
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    near, far = (layers.Conv2D(8, 1, activation="relu", name=name)(image) for name in ("near", "far"))
    ends = [layers.Conv2D(2, 1, name="last")(make(near, far)), layers.UpSampling2D(1)(layers.Conv2D(2, 1, name="beside")(far))]
    model = keras.Model(image, [ends[0]] if ends[0].shape != ends[1].shape else layers.Add()(ends))
    rng = np.random.default_rng(11)
    for weight in model.weights:
        weight.assign(rng.uniform(-1, 1, weight.shape))
    far.node.layer.set_weights([weight * 50 for weight in far.node.layer.get_weights()])
    return model


def _beside(*maps: object) -> object:
    return layers.Concatenate()(list(maps))


JOINS = {
    "beside each other": (_beside, 15),
    "one of them twice": (lambda near, far: _beside(far, near, far), 15),
    "spread over pixels": (lambda near, far: DepthToSpace()(_beside(near, far)), 40),  # where four channels become one
    "cropped": (lambda near, far: layers.Cropping2D(1)(_beside(near, far)), 15),
    "above each other, channel on channel": (lambda near, far: layers.Concatenate(axis=1)([near, far]), 60),
}


@pytest.mark.parametrize(("make", "most"), JOINS.values(), ids=JOINS)
def test_what_is_joined_is_evened_out_together(make: Callable[[object, object], object], most: float) -> None:
    """All that is joined has one step, in which the nearer has five of the 255."""
    content = _file(_joined(make))
    result = _equalise(content)
    assert (result.groups, result.bounded) == (1, 0)
    for x in _pictures():
        np.testing.assert_allclose(_run(result.content, x), _run(content, x), rtol=1e-4, atol=1e-3)
    before, after = (_reach(file, "far") / _reach(file, "near") for file in (content, result.content))
    assert 35 < before < 60
    assert after < most


def _reach(content: bytes, layer: str) -> float:
    """Largest value of what the layer gives."""
    flat, found = TFLiteGraph(content), collect(content, _pictures())
    return max(found[index].high for index in flat.activations() if layers_of(flat.name(index))[0] == layer)


def _gated(*, both: bool = False) -> keras.Model:
    """Convolution with uneven channels, weighed by a gate (`both`: by another convolution), convolution."""
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.Conv2D(8, 1, activation="relu", name="first")(image)
    gate = layers.Conv2D(4, 1, activation="relu", name="narrow")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid", name="widen")(gate)
    gate = layers.Conv2D(8, 1, name="other")(image) if both else gate
    model = keras.Model(image, layers.Conv2D(2, 1, name="last")(layers.Multiply()([x, gate])))
    rng = np.random.default_rng(9)
    for weight in model.weights:
        weight.assign(rng.uniform(-1, 1, weight.shape))
    kernel, offset = model.get_layer("first").get_weights()
    model.get_layer("first").set_weights([kernel * np.geomspace(1, 20, 8), offset * np.geomspace(1, 20, 8)])
    return model


def test_equalisation_sees_through_gates() -> None:
    """What is weighed and its mean, which the gate is made of, have factors; what is one number to a channel has none."""
    content = _file(_gated())
    result = _equalise(content)
    assert (result.groups, result.bounded) == (1, 1)
    for x in _pictures():
        np.testing.assert_allclose(_run(result.content, x), _run(content, x), rtol=1e-4, atol=1e-4)
    before, after = (dict(zip("fnwl", (w for _, w in _weights(file)), strict=True)) for file in (content, result.content))
    assert {kind for kind in before if not np.allclose(before[kind], after[kind])} == {"f", "n", "l"}
    np.testing.assert_allclose(before["f"] / after["f"], np.broadcast_to((after["l"] / before["l"])[:1].T, before["f"].shape), rtol=1e-3)


def test_a_product_of_two_that_could_have_factors_is_left_alone() -> None:
    content = _file(_gated(both=True))
    assert _equalise(content).groups == 0
    np.testing.assert_array_equal(_run(_equalise(content).content, _pictures()[0]), _run(content, _pictures()[0]))


def test_a_relu6_is_left_alone() -> None:
    content = _file(_net(activation="relu6"))
    result = _equalise(content)
    assert (result.groups, result.bounded) == (0, 2)
    np.testing.assert_array_equal(_run(result.content, _pictures()[0]), _run(content, _pictures()[0]))


def test_an_error_is_made_up_for_where_two_inputs_are_the_same() -> None:
    """3.4 becomes 3; the next, of an input that is the same, 3.4 + 0.4 = 3.8, so 4: 0.2 too much in place of 0.8 too little."""
    weights, same = np.array([[[3.4, 3.4, 127.0]]]), np.array([[[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]])
    np.testing.assert_array_equal(gptq(weights, same), [[[3, 4, 127]]])
    np.testing.assert_array_equal(gptq(weights, np.eye(3)[None]), [[[3, 3, 127]]])


def test_gptq_against_all_roundings() -> None:
    """The error of each of 40 rows, against the best of all 2^6 ways to round them, and rounding to the nearest."""
    rng = np.random.default_rng(5)
    mixed = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(500, 6))
    moments = mixed.T @ mixed / 500
    weights = rng.uniform(-40, 40, (40, 6))

    def error(rounded: np.ndarray) -> np.ndarray:
        return np.einsum("ok,kl,ol->o", weights - rounded, moments, weights - rounded)

    every = np.stack([error(np.floor(weights) + list(map(int, f"{bits:06b}"))) for bits in range(64)])
    ours = error(gptq(weights[None], moments[None])[0]).mean()
    assert ours < 1.5 * every.min(0).mean()
    assert ours < 0.5 * error(np.round(weights)).mean()


LAYERS = {
    "dense, strided": lambda: layers.Conv2D(5, 3, strides=2, padding="same"),
    "dense, dilated, no border": lambda: layers.Conv2D(5, 3, dilation_rate=2),
    "grouped": lambda: layers.Conv2D(8, 3, groups=2, padding="same"),
    "depthwise": lambda: layers.DepthwiseConv2D((3, 5), padding="same"),
    "depthwise, two for a channel": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same"),
    "transposed": lambda: layers.Conv2DTranspose(5, 2, strides=2, padding="same"),
}


def _layer(name: str) -> tuple[bytes, list[np.ndarray]]:
    """A file of one layer, and pictures (1,9,10,4) for it."""
    keras.utils.set_random_seed(6)
    image = keras.Input((9, 10, 4), batch_size=1)
    rng = np.random.default_rng(7)
    model = keras.Model(image, LAYERS[name]()(image))
    model.layers[-1].set_weights([model.layers[-1].get_weights()[0], rng.normal(size=model.layers[-1].weights[1].shape)])
    return _file(model), [rng.uniform(0, 2, (1, 9, 10, 4)).astype(np.float32) for _ in range(3)]


@pytest.mark.parametrize("name", LAYERS)
def test_rounded_weights_are_int8s_and_give_the_same_on_average(name: str) -> None:
    content, pictures = _layer(name)
    rounded = rounding.fit(content, pictures)
    ((kind, before),), ((_, after),) = _weights(content), _weights(rounded)
    axis = OUTPUT_AXIS[kind]
    others = tuple(other for other in range(4) if other != axis)
    steps = np.abs(before).max(others, keepdims=True) / 127
    np.testing.assert_allclose(after / steps, np.round(after / steps), atol=1e-3)
    np.testing.assert_array_equal(np.round(np.abs(after / steps).max(others)), 127)
    assert 0 < np.abs(after - before).max() < 3 * steps.max()
    means = [np.mean([_run(file, x).mean((0, 1, 2)) for x in pictures], 0) for file in (content, rounded)]
    np.testing.assert_allclose(*means, atol=1e-5)

    int8 = Interpreter(model_content=to_int8(content, pictures, Recipe(method="minmax", equalise=False), io="float"))
    int8.allocate_tensors()
    written = next(d for d in int8.get_tensor_details() if d["dtype"] == np.int8 and tuple(d["shape"]) == after.shape)
    np.testing.assert_array_equal(int8.get_tensor(written["index"]), np.round(after / steps))


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("grouped", "transposed")])
def test_what_a_layer_sees_is_what_tensorflow_extracts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content, (x, *_) = _layer(name)
    flat = TFLiteGraph(content)
    (operator,) = flat.convolutions()
    options, (height, width) = operator.builtinOptions, flat.shape(operator.inputs[1])[1:3]
    sizes = [[1, height, width, 1], [1, options.strideH, options.strideW, 1], [1, options.dilationHFactor, options.dilationWFactor, 1]]
    theirs = tf.image.extract_patches(x, *sizes, "VALID" if "no border" in name else "SAME").numpy().reshape(-1, height * width, 4)
    seen = rounding.windows(x[0], (height, width), options, np.random.default_rng(0))
    np.testing.assert_array_equal(seen, theirs)
    monkeypatch.setattr(rounding, "PIXELS", 7)
    drawn = rounding.windows(x[0], (height, width), options, np.random.default_rng(0))
    assert len(drawn) == 7
    assert {window.tobytes() for window in drawn} <= {window.tobytes() for window in theirs}


def test_a_wide_kernel_is_rounded_tap_by_tap(monkeypatch: pytest.MonkeyPatch) -> None:
    content, pictures = _layer("dense, strided")
    whole = rounding.fit(content, pictures)
    monkeypatch.setattr(rounding, "WIDEST", 8)
    by_tap = rounding.fit(content, pictures)
    assert by_tap != whole
    spread = np.var([_run(content, x) for x in pictures])
    for file in (whole, by_tap):
        assert np.mean([np.square(_run(file, x) - _run(content, x)).mean() for x in pictures]) < 1e-4 * spread


def _planted() -> keras.Model:
    """Weights of 127 and 3.4: int8 makes 3 of the latter, each time 0.4 too little."""
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    model = keras.Model(image, layers.Conv2D(1, 1, name="only")(layers.Conv2D(8, 1, activation="relu", name="ones")(image)))
    model.get_layer("ones").set_weights([np.zeros((1, 1, 3, 8)), np.ones(8)])
    model.get_layer("only").set_weights([np.array([127.0] + [3.4] * 7).reshape(1, 1, 8, 1), np.zeros(1)])
    return model


def test_rounding_and_its_bias_help_int8() -> None:
    content = _file(_planted())
    x = _pictures()[0]
    assert _run(content, x).mean() == pytest.approx(127 + 7 * 3.4)
    nearest, made_up = (to_int8(content, [x], replace(PLAIN, rounding=name), io="float") for name in ROUNDINGS[::-1])
    assert _run(content, x).mean() - _run(nearest, x).mean() == pytest.approx(7 * 0.4, abs=0.6)  # a step of the output is 0.6
    assert abs(_run(content, x).mean() - _run(made_up, x).mean()) < 0.6


def test_inputs_that_hardly_change_can_be_rounded_for() -> None:
    """Values of 1000 to a part in a million: in single precision their squares' mean says nothing of how far they lie apart."""
    content, pictures = _layer("dense, dilated, no border")
    still = [np.float32(1000) + np.float32(1e-3) * x for x in pictures]
    rounded = rounding.fit(content, still)
    np.testing.assert_allclose(*(np.mean([_run(file, x) for x in still], (0, 1, 2, 3)) for file in (content, rounded)), atol=0.05)


def test_a_layer_left_float_keeps_its_weights() -> None:
    content = _file(_net())
    kept = layer_tensors(content, ["second"])
    both = zip(_weights(content), _weights(rounding.fit(content, _pictures(), leave=kept)), strict=True)
    assert [not np.array_equal(before, after) for (_, before), (_, after) in both] == [True, False, True]


def test_statistics_by_numpy() -> None:
    content = _file(_net())
    pictures = _pictures()
    found = collect(content, pictures, histograms=True)
    output = int(TFLiteGraph(content).graph.outputs[0])
    values = np.stack([_run(content, x) for x in pictures])
    np.testing.assert_allclose(found[output].lows, values.min((1, 2, 3, 4)), rtol=1e-5)
    np.testing.assert_allclose(found[output].means, values.mean((0, 1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(found[output].powers, np.square(values).mean((0, 1, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(found[output].peaks, np.abs(values).max((0, 1, 2, 3)), rtol=1e-5)
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
        for content in (converter.convert(), to_int8(_file(model), _pictures(), PLAIN, io="float"))
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
    assert _error(content, finer) < 0.5 * _error(content, to_int8(content, _pictures(), PLAIN, io="float"))
    assert {d["dtype"] for d in Interpreter(model_content=to_int16x8(content, _pictures(), io="int16")).get_input_details()} == {np.int16}
