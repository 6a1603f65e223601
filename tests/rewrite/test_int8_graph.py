"""The int8 form of a deploy graph: the same function, and one XNNPACK partition."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg import archs
from portraitseg.card import CAFFE, IMAGENET, SYMMETRIC, UNIT, Card, InputSpec
from portraitseg.errors import InputError
from portraitseg.export import tflite, tflite_report
from portraitseg.layers import HardSigmoid, HardSwish
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.rewrite import deploy, int8_graph, int8_input
from portraitseg.rewrite.graph import nodes

SIZE = 16


class Blobs:
    """Coloured noise with large and small shapes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 16

    def name(self, index: int) -> str:
        return f"blob{index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng, size = np.random.default_rng(index), self.size
        picture = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((size // 8, size // 8, 1))) * 0.7 + rng.integers(0, 70, (size, size, 3))
        return picture.astype(np.uint8), np.zeros((size, size), np.uint8)


def _settled(model: keras.Model, x: np.ndarray) -> keras.Model:
    """Random weights; each convolution gives mean 0, if it has a bias, and standard deviation 1 on `x`.

    Else sums grow until nothing but 0 and 1 is left.
    """
    rng, values = np.random.default_rng(5), {}
    spreads = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 1.5), "alpha": (-0.3, 1.3)}
    for weight in model.weights:
        kind = weight.name.split("/")[-1].split(":")[0]
        if len(weight.shape) == 1 or kind == "alpha":
            weight.assign(rng.uniform(*spreads.get(kind, (-0.3, 0.3)), weight.shape))
    for node in nodes(model):
        if node.is_input:
            values[id(node.outputs)] = tf.constant(x)
            continue
        args, kwargs = tf.nest.map_structure(lambda value: values.get(id(value), value), (node.call_args, node.call_kwargs))
        if isinstance(node.layer, layers.Conv2D):
            kernel, *bias = node.layer.get_weights()
            node.layer.set_weights([kernel / np.std(node.layer(*args, **kwargs)), *bias])
            if bias:
                node.layer.set_weights([node.layer.get_weights()[0], bias[0] - np.mean(node.layer(*args, **kwargs))])
        made = tf.nest.flatten(node.layer(*args, **kwargs))
        values.update((id(old), new) for old, new in zip(tf.nest.flatten(node.outputs), made, strict=True))
    return model


def _map(channels: int) -> np.ndarray:
    return np.random.default_rng(6).normal(0, 2, (1, SIZE, SIZE, channels)).astype(np.float32)


def _between(make: Callable[[object], object], *, channels: int = 6, bias: bool = True) -> keras.Model:
    """What `make` builds, between two convolutions."""
    image = keras.Input((SIZE, SIZE, channels), batch_size=1)
    x = layers.Conv2D(12, 1, use_bias=bias)(image)
    return _settled(keras.Model(image, layers.Conv2D(3, 1)(make(x))), _map(channels))


def _check(model: keras.Model) -> tuple[keras.Model, dict[str, int]]:
    """The int8 form must compute the same and run in one piece; it, and the op counts of its int8 file."""
    int8 = int8_graph.to_int8_graph(model)
    x = _map(model.input_shape[-1])
    np.testing.assert_allclose(np.asarray(int8(x)), np.asarray(model(x)), atol=1e-5)
    return int8, _one_piece(int8, x)


def _file(model: keras.Model, x: np.ndarray) -> bytes:
    return tflite.convert(model, "int8", calibration=[x], io="int8")


def _one_piece(model: keras.Model, x: np.ndarray) -> dict[str, int]:
    report = tflite_report.inspect(_file(model, x))
    assert report.partitions == 1
    assert report.outside == {}
    return dict(report.ops)


def _cut(model: keras.Model) -> dict[str, int]:
    """What XNNPACK does not take without the rewriting."""
    return dict(tflite_report.inspect(_file(model, _map(model.input_shape[-1]))).outside)


def _pre_activation(x: object) -> object:
    for _ in range(2):
        x = layers.Add()([x, layers.Conv2D(12, 1)(layers.ReLU()(x))])
    return x


LONE = {
    "of a pre-activation block": _pre_activation,
    "behind a concatenation": lambda x: layers.ReLU()(layers.Concatenate()([x, layers.Conv2D(4, 1)(x)])),
    "behind a resize": lambda x: layers.ReLU(6.0)(layers.UpSampling2D(2, interpolation="bilinear")(x)),
    "behind a convolution that is read twice": lambda x: layers.Add()([layers.ReLU()(x), x]),
    "behind a sum that is read twice": lambda x: (lambda y: layers.Add()([layers.Activation("relu")(y), y]))(layers.Add()([x, x])),
    "behind another activation": lambda x: layers.ReLU()(layers.Activation("tanh")(x)),
    "behind a transposed convolution without bias": lambda x: layers.ReLU()(layers.Conv2DTranspose(4, 5, 2, use_bias=False)(x)),
}


@pytest.mark.parametrize("case", LONE)
def test_a_lone_relu_is_taken(case: str) -> None:
    model = _between(LONE[case])
    assert _cut(model)
    _check(model)


FUSED = {
    "convolution": lambda x: layers.ReLU()(layers.Conv2D(4, 1)(x)),
    "depthwise": lambda x: layers.ReLU(6.0)(layers.DepthwiseConv2D(3, use_bias=False)(x)),
    "transposed": lambda x: layers.ReLU()(layers.Conv2DTranspose(4, 5, 2)(x)),
    "sum": lambda x: layers.ReLU()(layers.Add()([x, layers.Conv2D(12, 1)(x)])),
    "product": lambda x: layers.ReLU()(layers.Multiply()([x, layers.Conv2D(12, 1)(x)])),
    "max-pooling": lambda x: layers.ReLU()(layers.MaxPooling2D(2)(x)),
}


@pytest.mark.parametrize("case", FUSED)
def test_a_relu_that_is_fused_costs_nothing(case: str) -> None:
    model = _between(FUSED[case])
    int8, ops = _check(model)
    assert len(int8.layers) == len(model.layers)
    assert ops.get("MAX_POOL_2D", 0) == (case == "max-pooling")


def test_a_clamp_by_numbers() -> None:
    """The int8 file clamps: 1x1 max-pooling alone does not change a number, its ReLU does."""
    image = keras.Input((4, 4, 2), batch_size=1)
    x = layers.Concatenate()([image, image])
    model = int8_graph.to_int8_graph(keras.Model(image, layers.ReLU()(x)))
    values = np.linspace(-1, 1, 32, dtype=np.float32).reshape(1, 4, 4, 2)
    interpreter = Interpreter(model_content=tflite.convert(model, "int8", calibration=[values], io="float"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found[..., :2], np.maximum(values, 0), atol=2 / 255)


def _prelu(x: object) -> object:
    return layers.PReLU(shared_axes=[1, 2])(x)


PRELUS = {
    "behind a sum": lambda x: _prelu(layers.Add()([x, layers.Conv2D(12, 1)(x)])),
    "before a depthwise convolution": lambda x: layers.DepthwiseConv2D(3)(_prelu(x)),
    "wide, between convolutions": lambda x: layers.Conv2D(64, 3)(_prelu(x)),
    "of equal slopes": lambda x: layers.Add()([layers.PReLU(shared_axes=[1, 2, 3])(x), x]),
}


@pytest.mark.parametrize("case", PRELUS)
def test_a_prelu_is_stacked(case: str) -> None:
    model = _between(PRELUS[case])
    assert _cut(model)["PRELU"] == 1
    _, ops = _check(model)
    assert ops["CONCATENATION"] == 1


DOUBLED = {
    "two convolutions": lambda x: layers.Conv2D(8, 2, 2)(_prelu(layers.Conv2D(4, 3)(x))),
    "two that read it": lambda x: (lambda y: layers.Concatenate()([layers.Conv2D(4, 1)(y), layers.Conv2D(5, 1, use_bias=False)(y)]))(
        _prelu(layers.Conv2D(8, 1, use_bias=False)(x))
    ),
    "two transposed ones": lambda x: layers.Conv2DTranspose(2, 5, 2)(_prelu(layers.Conv2DTranspose(3, 5, 2)(x))),
}


@pytest.mark.parametrize("case", DOUBLED)
def test_a_prelu_between_thin_convolutions_needs_no_operation(case: str) -> None:
    model = _between(DOUBLED[case])
    assert _cut(model)["PRELU"] == 1
    _, ops = _check(model)
    assert "DEPTHWISE_CONV_2D" not in ops
    assert "MAX_POOL_2D" not in ops


def test_a_prelu_that_is_the_output_or_has_others_beside_it_is_not_doubled() -> None:
    image = keras.Input((SIZE, SIZE, 6), batch_size=1)
    x = layers.Conv2D(4, 1)(image)
    last = _settled(keras.Model(image, _prelu(x)), _map(6))
    beside = _between(lambda x: (lambda y: layers.Add()([y, layers.Conv2D(4, 1)(y)]))(_prelu(layers.Conv2D(4, 1)(x))))
    raw = _between(lambda x: (lambda y: layers.Add()([layers.Conv2D(4, 1)(_prelu(y)), layers.Conv2D(4, 1)(y)]))(layers.Conv2D(4, 1)(x)))
    for model in (last, beside, raw):
        assert _check(model)[1]["DEPTHWISE_CONV_2D"] == 1


def test_slopes_that_differ_by_place_stay_as_they_are() -> None:
    model = _between(lambda x: layers.PReLU()(x))
    int8 = int8_graph.to_int8_graph(model)
    assert [type(layer).__name__ for layer in int8.layers] == [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize(
    ("slope", "op"), [(0.1, "LEAKY_RELU"), (0.3, "LEAKY_RELU"), (0.001, "DEPTHWISE_CONV_2D"), (0.0, "DEPTHWISE_CONV_2D")]
)
def test_leaky_relus(slope: float, op: str) -> None:
    assert _check(_between(lambda x: layers.LeakyReLU(slope)(layers.Add()([x, x]))))[1][op] == 1


def test_hard_swish_and_squeeze_and_excite() -> None:
    def block(x: object) -> object:
        x = HardSwish()(x)
        gate = HardSigmoid()(layers.Conv2D(12, 1)(layers.ReLU()(layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x)))))
        return layers.Add()([HardSwish()(layers.Multiply()([x, gate])), x])

    model = _between(block)
    assert _cut(model)["HARD_SWISH"] == 2
    assert "HARD_SWISH" not in _check(model)[1]


def _gated(x: object) -> object:
    gate = layers.Conv2D(12, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Multiply()([x, gate])


def _skip(x: object) -> object:
    """The output and what comes of it, added up and weighed by both."""
    x = HardSwish()(x)
    deep = layers.Conv2D(12, 1)(layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2D(12, 3, 2, "same")(x)))
    return layers.Add()([_gated(x), deep, layers.MaxPooling2D(1)(deep)])


ABSORBED = {
    "by a convolution": lambda x: HardSwish()(x),
    "by one behind a pool": lambda x: layers.MaxPooling2D(2)(HardSwish()(x)),
    "by a depthwise and a transposed one": lambda x: layers.Add()(
        [f(HardSwish()(x)) for f in (layers.DepthwiseConv2D(3, padding="same"), layers.Conv2DTranspose(12, 1))]
    ),
    "behind squeeze and excite": lambda x: _gated(HardSwish()(x)),
    "at both ends of a skip": _skip,
}


@pytest.mark.parametrize("make", ABSORBED.values(), ids=ABSORBED)
def test_the_sixth_of_a_hard_swish_goes_into_weights(make: Callable[[object], object]) -> None:
    model = _between(make)
    products = sum(isinstance(layer, layers.Multiply) for layer in model.layers)
    _, ops = _check(model)
    assert ops["MUL"] == products + 1
    assert "MAX_POOL_2D" not in ops or any(isinstance(layer, layers.MaxPooling2D) for layer in model.layers)


def _shared(x: object) -> object:
    conv = layers.Conv2D(12, 1)
    return layers.Add()([conv(HardSwish()(x)), conv(x)])


STAYS = {
    "the output": lambda x: HardSwish()(layers.Conv2D(3, 1)(x)),
    "another hard swish": lambda x: layers.Conv2D(3, 1)(HardSwish()(layers.MaxPooling2D(2)(HardSwish()(x)))),
    "its square": lambda x: (lambda y: layers.Conv2D(3, 1)(layers.Multiply()([y, y])))(HardSwish()(x)),
    "a sum with the picture": lambda x: layers.Conv2D(3, 1)(layers.Add()([HardSwish()(x), layers.MaxPooling2D(1)(layers.ReLU()(x))])),
    "a convolution that others call": lambda x: layers.Conv2D(3, 1)(_shared(x)),
}


@pytest.mark.parametrize("make", STAYS.values(), ids=STAYS)
def test_a_sixth_that_no_weights_take_stays_a_product(make: Callable[[object], object]) -> None:
    image = keras.Input((SIZE, SIZE, 6), batch_size=1)
    model = _settled(keras.Model(image, make(layers.Conv2D(12, 1)(image))), _map(6))
    layers_, ops = _check(model)
    assert sum(isinstance(layer, layers.Rescaling) and layer.scale == 1 / 6 for layer in layers_.layers) >= 1
    assert ops["MUL"] >= 2


@pytest.mark.parametrize(
    ("make", "op"),
    [
        (lambda x: layers.UpSampling2D((2, 3))(x), "RESIZE_NEAREST_NEIGHBOR"),
        (lambda x: layers.AveragePooling2D(2)(x), "AVERAGE_POOL_2D"),
        (lambda x: layers.AveragePooling2D(4, 2)(x), "AVERAGE_POOL_2D"),
        (lambda x: layers.AveragePooling2D(4, padding="same")(x), "AVERAGE_POOL_2D"),
        (lambda x: layers.Concatenate()([x] + [layers.Conv2D(3, 1)(x) for _ in range(9)]), "CONCATENATION"),
    ],
)
def test_other_operations_that_are_not_taken(make: Callable[[object], object], op: str) -> None:
    model = _between(make)
    assert op in _cut(model)
    _check(model)


@pytest.mark.parametrize("scaled", [True, False])
def test_a_batch_normalisation_that_no_convolution_takes_keeps_a_scale_for_each_channel(scaled: bool) -> None:
    norm = layers.BatchNormalization(scale=scaled, center=scaled)
    _, ops = _check(_between(lambda x: norm(layers.Add()([x, x]))))
    assert ops["DEPTHWISE_CONV_2D"] == 1
    assert "MUL" not in ops


def test_sums_and_products_of_several_maps_are_taken_two_by_two() -> None:
    int8, ops = _check(_between(lambda x: layers.Multiply()([x, layers.Add()([x, layers.Conv2D(12, 1)(x), x]), x])))
    assert (ops["ADD"], ops["MUL"]) == (2, 2)
    assert all(len(layer.input) == 2 for layer in int8.layers if isinstance(layer, (layers.Add, layers.Multiply)))


def test_averages_over_a_border_stay() -> None:
    model = _between(lambda x: layers.AveragePooling2D(3, 2, padding="same")(x))
    assert any(isinstance(layer, layers.AveragePooling2D) for layer in int8_graph.to_int8_graph(model).layers)


def _case(name: str) -> tuple[str, dict[str, object]]:
    arch, *rest = name.split()
    options: dict[str, object] = dict(item.split("=") for item in rest)
    options.update({key: int(str(options[key])) for key in ("classes", "channels") if key in options})
    return arch, options


SLOW = [  # made of the same layers as the others, or large
    "slim_net",
    "portrait_net",
    "prisma_net",
    "munet encoder=mobilenet_v3_small_full classes=2",
    "portrait_net up=grouped classes=2",
    "munet_mnv2",
    "munet_mnv3",
    "munet_mnv3_transition",
    "munet_mnv2_transition",
    "munet",
    "mobilenet_v2_unet",
    "mobilenet_v4_unet",
    "portrait_nano_m",
    "portrait_nano_l",
    "unet",
    "u2net",
    "u2netp",
    "resunet",
    "munet_mnv2 decoder=bilinear",
    "munet_mnv3_transition resize=align_corners classes=2",
    "munet_mnv3_transition resize=transpose classes=2",
    "munet encoder=mobilenet_v4_conv_small decoder=bilinear",
    "munet encoder=mobilenet_v3_large_full",
    "portrait_net up=bilinear channels=4",
    "slim_net classes=2 resize=align_corners",
    "slim_net act=relu",
    "slim_net act=leaky",
]
CASES = [name for name in archs.ARCHS if name not in SLOW] + [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]


@pytest.mark.parametrize("name", CASES)
def test_every_arch_is_the_same_function_in_one_partition(name: str) -> None:
    arch, options = _case(name)
    card = archs.new_card(arch, size=64, **options)
    source = Blobs(64)
    x = next(iter(CalibrationSet(source=source, indices=[3], card=card)))
    model = _settled(archs.build(card), x)
    logits = np.asarray(tf.nest.flatten(model(x, training=False))[0], np.float64)
    expected = 1 / (1 + np.exp(-logits)) if card.classes == 1 else np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)

    graph, card = deploy.to_deploy(model, card)
    graph = int8_graph.to_int8_graph(graph)
    assert expected.std() > 0.03
    np.testing.assert_allclose(np.asarray(graph(x)), expected, atol=1e-5)

    graph, card = int8_input.to_byte_input(graph, card)
    content = tflite.convert(graph, "int8", calibration=CalibrationSet(source=source, indices=[0, 1, 3], card=card))
    report = tflite_report.inspect(content)
    tflite.check_int8(report, card, io="uint8")
    assert report.partitions == 1
    assert report.outside == {"QUANTIZE": 2}
    assert report.float_tensors == ()


BGR = InputSpec(mean=(103.94, 116.78, 123.68), std=(1 / 0.017,) * 3, order="bgr")


@pytest.mark.parametrize("spec", [CAFFE, IMAGENET, BGR, InputSpec(mean=(9.0,) * 3, std=(50.0,) * 3, order="bgr")])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_normalisation_by_channel_moves_into_the_graph(spec: InputSpec, channels: int) -> None:
    card = Card(arch="a", wm=1, size=(SIZE, SIZE), input=spec, channels=channels)
    image = keras.Input((SIZE, SIZE, channels), batch_size=1)
    model = _settled(keras.Model(image, layers.Conv2D(2, 3, padding="same")(image)), _map(channels))
    picture, prior = Blobs(SIZE).load(2)[0], np.random.default_rng(0).random((SIZE, SIZE, channels - 3))
    ordered = picture[..., ::-1] if spec.order == "bgr" else picture
    prepared = np.concatenate([(ordered - np.array(spec.mean)) / spec.std, prior], -1)[None].astype(np.float32)

    graph, made = int8_input.to_byte_input(model, card)

    assert made.input == UNIT
    given = np.concatenate([picture / 255, prior], -1)[None].astype(np.float32)
    np.testing.assert_allclose(np.asarray(graph(given)), np.asarray(model(prepared)), atol=2e-5 * np.abs(prepared).max())


def test_a_normalisation_that_a_tensor_can_have_stays() -> None:
    card = Card(arch="a", wm=1, size=(SIZE, SIZE), input=SYMMETRIC)
    model = _between(lambda x: x, channels=3)
    assert int8_input.to_byte_input(model, card) == (model, card)


def test_a_letterbox_of_another_mean_cannot_be_bytes() -> None:
    card = Card(arch="a", wm=1, size=(SIZE, SIZE), input=IMAGENET, fit="letterbox")
    with pytest.raises(InputError, match=r"fit letterbox.*--io float"):
        int8_input.to_byte_input(_between(lambda x: x, channels=3), card)
