"""The net with the int8 file's rounding in it, against numpy and against the file that it becomes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg import archs, checkpoint
from portraitseg.archs import ArchSpec
from portraitseg.card import IMAGENET, SYMMETRIC, UNIT, Card
from portraitseg.data.synthetic import Synthetic
from portraitseg.errors import InputError
from portraitseg.export import qat as export
from portraitseg.export import tflite, tflite_report
from portraitseg.image import to_input
from portraitseg.layers import HardSigmoid, HardSwish
from portraitseg.quantization import qat
from portraitseg.quantization.kernels import rounded
from portraitseg.quantization.ranges import Range
from portraitseg.resizing import AlignCorners, BilinearTranspose, DepthwiseConv2DTranspose
from portraitseg.rewrite.graph import Graph
from portraitseg.training.step import freeze

SIZE = 32
PICTURES = [0, 1, 2]
SOURCE = Synthetic(8, seed=0, size=SIZE)


def _conv(x: Any, filters: int, size: int = 3, **options: Any) -> Any:
    return layers.Conv2D(filters, size, padding="same", **options)(x)


def _normed(x: Any) -> Any:
    return layers.BatchNormalization()(x)


def _gates(x: Any) -> Any:
    x = HardSwish(name="swish")(_normed(_conv(x, 8)))
    gate = _conv(layers.ReLU()(_conv(layers.GlobalAveragePooling2D(keepdims=True)(x), 4, 1)), 8, 1)
    x = layers.Multiply()([x, HardSigmoid()(gate)])
    return layers.Multiply()([x, layers.Activation("sigmoid")(_conv(x, 8, 1)), layers.Activation("tanh")(x)])


def _prelus(x: Any) -> Any:
    x = layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.3))(_conv(x, 4))  # doubled
    x = layers.Add()([_conv(x, 8), _conv(x, 8)])
    x = layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(-0.4))(x)  # stacked
    return layers.LeakyReLU(0.2)(layers.DepthwiseConv2D(3, padding="same")(x))


def _resizes(x: Any) -> Any:
    x = layers.UpSampling2D(2, interpolation="bilinear")(_conv(x, 6, strides=2))
    x = _conv(AlignCorners(2)(_conv(x, 6, strides=2)), 6, strides=2)
    x = BilinearTranspose(4)(_conv(x, 6, strides=2))
    return layers.UpSampling2D(2)(layers.MaxPooling2D(2)(layers.ReLU()(x)))


def _convolutions(x: Any) -> Any:
    x = _conv(x, 8, strides=2, use_bias=False)
    skip = layers.ReLU(6.0)(_normed(x))
    x = layers.ReLU()(_normed(layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(skip)))
    x = layers.Concatenate()([skip, x])
    x = layers.ReLU()(_normed(layers.Add()([_conv(x, 8), skip])))  # a batch norm that no convolution can take
    return layers.ReLU()(_normed(layers.Conv2DTranspose(8, 5, 2, padding="same")(x)))


PIECES: Mapping[str, Callable[[Any], Any]] = {
    "gates": _gates,
    "prelus": _prelus,
    "resizes": _resizes,
    "convolutions": _convolutions,
}


@pytest.fixture(autouse=True)
def small_archs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, piece in PIECES.items():
        monkeypatch.setitem(archs.ARCHS, name, _spec(piece))


def _spec(piece: Callable[[Any], Any]) -> ArchSpec:
    def builder(image: Any, *, wm: float, classes: int) -> Any:
        return layers.Conv2D(classes, 1, name="head")(piece(image))

    return ArchSpec(builder=builder, size=SIZE, paper="-", input=SYMMETRIC)


def _card(name: str, **options: Any) -> Card:
    keras.backend.clear_session()  # so that unnamed layers are numbered alike each time, as the named ones of the archs are
    return archs.new_card(name, **{"size": SIZE, **options})


def _prepared(card: Card, source: Any = SOURCE) -> tuple[keras.Model, keras.Model, Card]:
    """A random net whose batch norms are not the identity, the same prepared, and the latter's card."""
    keras.utils.set_random_seed(0)
    model, rng = archs.build(card), np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    keras.backend.clear_session()
    return model, *qat.prepare(model, card, source, PICTURES)


def _step(net: keras.Model, card: Card, source: Any = SOURCE, lr: float = 1e-3) -> None:
    """One step of gradient descent."""
    samples = [source.load(index) for index in PICTURES]
    x = np.stack([to_input(picture, card) for picture, _ in samples])
    mask = np.stack([mask[..., None] > 127 for _, mask in samples]).astype(np.float32)
    x = np.concatenate([x, np.zeros((*x.shape[:3], card.channels - x.shape[3]), np.float32)], -1)
    optimizer = keras.optimizers.legacy.Adam(lr)
    with tf.GradientTape() as tape:
        logits = net(x, training=True)
        margin = logits[..., -1:] - (logits[..., :1] if card.classes == 2 else 0.0)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(mask, margin))
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply_gradients((g, v) for g, v in zip(gradients, net.trainable_variables, strict=True) if g is not None)


def _ranges(net: keras.Model) -> list[Range]:
    return [layer for layer in net.layers if isinstance(layer, Range)]


def _run(content: bytes, picture: np.ndarray) -> np.ndarray:
    """Person's prob (h,w) of an int8 file with uint8 input and output."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0, ..., -1] / 256


def _agrees(net: keras.Model, card: Card, content: bytes, picture: np.ndarray) -> float:
    """Share of the pixels where the file's prob lies within two int8 steps of the net's logit, and one of the prob itself."""
    x = (picture.astype(np.float64) - card.input.mean[0]) / card.input.std[0]
    logits = np.asarray(net(x[None].astype(np.float32), training=False), np.float64)[0]
    margin = logits[..., 0] if card.classes == 1 else logits[..., 1] - logits[..., 0]
    low, high = _ranges(net)[-1].span()
    tolerance, prob = 2 * (high - low) / 255, _run(content, picture)
    least, most = (1 / (1 + np.exp(-(margin + shift))) for shift in (-tolerance, tolerance))
    return float(np.mean((prob >= least - 1 / 256) & (prob <= most + 1 / 256)))


def _is_int8_in_one_piece(content: bytes, card: Card) -> None:
    report = tflite_report.inspect(content)
    tflite.check_int8(report, card, io="uint8")
    assert report.float_tensors == ()
    assert report.partitions == 1
    assert report.outside == {"QUANTIZE": 2}
    assert report.ops["QUANTIZE"] == 2  # nothing is requantized on the way


@pytest.mark.parametrize("name", PIECES)
def test_a_step_of_training_and_the_file_says_the_same(name: str) -> None:
    model, net, card = _prepared(_card(name))
    x = to_input(SOURCE.load(PICTURES[1])[0], card)[None]  # one of those that the ranges are of: nothing is cut off
    assert np.abs(np.asarray(net(x)) - np.asarray(model(x))).max() < 0.1 * np.ptp(np.asarray(model(x)))
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in net.layers)
    _step(net, card)

    content = export.convert(net, card)

    _is_int8_in_one_piece(content, card)
    share = _agrees(net, card, content, SOURCE.load(5)[0])
    assert share > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("name", archs.ARCHS)
def test_every_arch(name: str) -> None:
    size, variants = 64, {"munet_mnv3_transition": {"classes": 2}, "portrait_net": {"channels": 4}}
    source = Synthetic(8, seed=0, size=size)
    _, net, card = _prepared(archs.new_card(name, size=size, **variants.get(name, {})), source)
    _step(net, card, source)
    content = export.convert(net, card)
    _is_int8_in_one_piece(content, card)
    picture = source.load(5)[0]
    picture = np.concatenate([picture, np.zeros((size, size, card.channels - 3), np.uint8)], -1)
    share = _agrees(net, card, content, picture)
    assert share > 0.9  # of untrained nets up to a hundred layers deep, in which a single step grows


def test_ranges_start_from_the_calibration_pictures() -> None:
    model, net, card = _prepared(_card("convolutions"))
    inputs = np.concatenate([to_input(SOURCE.load(index)[0], card)[None] for index in PICTURES])
    inputs[0, 0, 0], inputs[0, -1, -1] = -1, 1  # as the calibration set has it
    first = next(layer for layer in model.layers if isinstance(layer, layers.ReLU))
    seen = np.asarray(keras.Model(model.input, first.output)(inputs))
    given, relu6 = _ranges(net)[:2]
    assert given.span() == pytest.approx((-128 / 127.5, 127 / 127.5), abs=1e-6)  # byte 128 is 0
    low, high = relu6.span()
    assert low == 0
    assert np.percentile(seen, 99.97) < high < seen.max()  # 99.99% of the values


def test_the_net_sees_every_byte_as_the_file_does() -> None:
    """[-1,1] has its 0 between the bytes 127 and 128, the file at 128."""
    _, net, card = _prepared(_card("convolutions"))
    picture = np.resize(np.arange(256, dtype=np.uint8)[:, None], (SIZE, SIZE, 3))
    seen = keras.Model(net.input, net.get_layer("range_image").output)(to_input(picture, card)[None])
    np.testing.assert_allclose(seen[0], (picture.astype(np.float64) - 128) / 127.5, atol=1e-5)


def test_ranges_learn_until_they_are_frozen() -> None:
    _, net, card = _prepared(_card("convolutions"))
    ranges = [layer for layer in _ranges(net) if layer.weights]
    for layer in ranges:
        layer.start(tuple(end / 2 for end in layer.span()))  # so that something is cut off
    x = np.concatenate([to_input(SOURCE.load(index)[0], card)[None] for index in (3, 4)])
    before = [layer.get_weights() for layer in ranges]
    net(x, training=False)
    assert all(np.array_equal(a, b) for a, b in zip(before, [layer.get_weights() for layer in ranges], strict=True))

    freeze(net, ["range_"])
    kernel = net.trainable_variables[0].numpy()
    _step(net, card)
    assert all(np.array_equal(a, b) for a, b in zip(before, [layer.get_weights() for layer in ranges], strict=True))
    assert not np.array_equal(kernel, net.trainable_variables[0].numpy())

    freeze(net, [])
    _step(net, card)
    assert any(not np.array_equal(a, b) for a, b in zip(before, [layer.get_weights() for layer in ranges], strict=True))


def test_the_ends_of_a_range_learn_from_what_is_cut_off() -> None:
    layer = Range(name="range_x")
    values = tf.constant([-3.0, -0.5, 0.0, 2.0, 5.0, 7.0])
    layer(values)
    layer.start((-1.0, 4.0))
    assert layer.span() == (-1.0, 4.0)
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(layer(values) * tf.constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    by_value, by_low, by_high = tape.gradient(total, [values, layer.low, layer.high])
    assert by_value.numpy().tolist() == [0, 2, 3, 4, 0, 0]
    assert (float(by_low), float(by_high)) == (1.0, 11.0)


def test_a_range_rounds_to_256_steps_with_zero_among_them() -> None:
    layer = Range(name="range_x")
    values = np.linspace(-3, 6, 10_000).astype(np.float32)
    layer(values)
    layer.start((-1.0, 4.0))
    found, scale = np.asarray(layer(values), np.float64), 5 / 255
    np.testing.assert_allclose(found / scale, np.round(found / scale), atol=1e-4)
    assert np.abs(found - np.clip(values, -1, 4)).max() <= scale / 2 + 1e-5
    assert len(np.unique(found)) == 256
    assert 0 in found


def test_a_tensor_that_is_always_0_has_a_range() -> None:
    layer = Range(name="range_x")
    assert np.all(np.asarray(layer(np.zeros(4, np.float32))) == 0)
    assert layer.span()[1] > 0


KINDS = {
    "dense": (lambda: layers.Conv2D(5, 3), (0, 1, 2)),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (0, 1)),
    "transposed": (lambda: layers.Conv2DTranspose(5, 3, 2), (0, 1, 3)),
    "transposed, depthwise": (lambda: DepthwiseConv2DTranspose(2), (0, 1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_are_rounded_channel_by_channel(kind: str) -> None:
    make, axes = KINDS[kind]
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 4)).astype(np.float32)
    plain, wrapped = make(), rounded(make())
    plain(x), wrapped(x)
    kernel = np.random.default_rng(1).normal(size=plain.weights[0].shape).astype(np.float32)
    rest = plain.get_weights()[1:]
    scale = np.abs(kernel).max(axes, keepdims=True) / 127
    plain.set_weights([np.round(kernel / scale) * scale, *rest])
    wrapped.set_weights([kernel, *rest])
    np.testing.assert_allclose(wrapped(x), plain(x), atol=1e-4)


def test_a_frozen_convolution_has_nothing_to_train() -> None:
    layer = rounded(layers.Conv2D(4, 3, name="enc_conv"))
    layer(np.zeros((1, 8, 8, 3), np.float32))
    assert [weight.name.split("/")[-1] for weight in layer.trainable_weights] == ["kernel:0", "bias:0"]
    layer.trainable = False
    assert layer.trainable_weights == []
    assert len(layer.weights) == 2


def test_the_file_has_a_scale_for_each_channel_of_the_kernels_and_the_ranges_that_were_learned() -> None:
    _, net, card = _prepared(_card("convolutions"))
    _step(net, card, lr=0.05)
    interpreter = Interpreter(model_content=export.convert(net, card))
    scales = np.concatenate([p["scales"] for p in _parameters(interpreter)])
    convolutions = [layer for layer in net.layers if isinstance(getattr(layer, "layer", None), (layers.Conv2D, layers.DepthwiseConv2D))]
    assert len(convolutions) >= 6
    for layer in convolutions:
        kernel = layer.get_weights()[0]
        kind = type(layer.layer)
        axes = {layers.DepthwiseConv2D: (0, 1, 3), layers.Conv2DTranspose: (0, 1, 3)}.get(kind, (0, 1, 2))
        for scale in np.abs(kernel).max(axes) / 127:
            assert np.isclose(scales, scale, rtol=1e-4).any()
    for low, high in (layer.span() for layer in _ranges(net)):
        assert np.isclose(scales, (high - low) / 255, rtol=1e-4).any()


def _parameters(interpreter: Interpreter) -> list[dict[str, Any]]:
    return [tensor["quantization_parameters"] for tensor in interpreter.get_tensor_details()]


def test_a_resize_has_one_range_on_both_sides_and_a_concatenation_one_for_all() -> None:
    image = keras.Input((8, 8, 3), batch_size=1, name="image")
    sides = [layers.Conv2D(4, 1, name=name)(image) for name in ("left", "right")]
    ups = [layers.UpSampling2D(2, interpolation="bilinear", name=f"{side.node.layer.name}_up")(side) for side in sides]
    wide = layers.ReLU(name="relu")(layers.Conv2D(4, 1, name="wide")(layers.Concatenate(name="joined")(ups)))
    net = keras.Model(image, layers.Conv2D(1, 1, name="out")(layers.MaxPooling2D(2, name="pool")(wide)))
    groups = {frozenset(tensors) for tensors in qat._groups(Graph(net)).values()}
    pooled = {"relu"}  # of the convolution and its ReLU, which are one operation, and of the pooling
    assert groups == {frozenset(names) for names in ({"image"}, {"left", "right", "left_up", "right_up"}, pooled, {"out"})}


def test_a_tensor_cannot_have_a_given_range_and_share_another() -> None:
    def builder(image: Any, *, wm: float, classes: int) -> Any:
        return layers.Conv2D(classes, 1, name="head")(layers.Concatenate(name="joined")([image, layers.Conv2D(2, 1, name="conv")(image)]))

    spec = ArchSpec(builder=builder, size=SIZE, paper="-", input=UNIT)
    card = Card(arch="both", wm=1.0, size=(SIZE, SIZE), input=UNIT)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InputError, match="image, conv would share a range"):
        patch.setitem(archs.ARCHS, "both", spec)
        qat.prepare(archs.build(card), card, SOURCE, PICTURES)


def test_a_normalisation_by_channel_becomes_part_of_the_net_and_comes_back_with_the_checkpoint(tmp_path: Path) -> None:
    card = replace(_card("convolutions"), input=IMAGENET)
    _, net, made = _prepared(card)
    assert made.input == UNIT
    assert made.quant == "qat"
    checkpoint.save(net, made, tmp_path / "net.h5")
    keras.backend.clear_session()

    loaded, read = checkpoint.load(tmp_path / "net.h5")

    assert read == made
    x = to_input(SOURCE.load(6)[0], made)[None]
    np.testing.assert_array_equal(loaded(x), net(x))
    assert [layer.span() for layer in _ranges(loaded)] == [layer.span() for layer in _ranges(net)]
