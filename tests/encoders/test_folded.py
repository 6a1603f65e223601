"""Encoder weights from files whose batch normalisation is folded: our features are those that LiteRT and onnxruntime compute."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from portraitseg import archs
from portraitseg.card import SYMMETRIC
from portraitseg.encoders import ENCODERS, mobilenet_v2, pretrained
from portraitseg.encoders.folded import match, tflite
from portraitseg.encoders.folded.graph import trace
from portraitseg.encoders.folded.unfold import unfold
from portraitseg.errors import InputError
from portraitseg.image import to_input

SIZE = 64
PICTURES = np.random.default_rng(1).integers(0, 256, (8, SIZE // 8, SIZE // 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
X = (PICTURES / 127.5 - 1).astype(np.float32)


def encoder(name: str, wm: float = 0.35, *, seed: int = 0, blocks: int = 0, **options) -> keras.Model:
    """An encoder alone, or the first blocks of MobileNetV2, with weights and batch-norm statistics that are drawn."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3))
    if blocks:
        features = list(mobilenet_v2.mobilenet_v2(image, wm=wm, last_block=blocks - 1, **options).values())
    else:
        features = ENCODERS[name].features(image, wm=wm)
    model = keras.Model(image, features)
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
    return model


def converter(model: keras.Model) -> tf.lite.TFLiteConverter:
    """Of the model and a convolution behind its last output, as a decoder would have."""
    kernel = tf.ones((1, 1, model.outputs[-1].shape[-1], 2))
    module = tf.Module()
    module.held = model.variables

    @tf.function(input_signature=[tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32)])
    def net(x):
        features = model(x, training=False)
        return {f"tap{number}": value for number, value in enumerate([*features, tf.nn.conv2d(features[-1], kernel, 1, "SAME")])}

    return tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()], module)


def to_tflite(model: keras.Model, quant: str = "fp32") -> bytes:
    made = converter(model)
    if quant != "fp32":
        made.optimizations = [tf.lite.Optimize.DEFAULT]
    if quant == "fp16":
        made.target_spec.supported_types = [tf.float16]
    if quant == "int8":
        made.representative_dataset = lambda: ([x[None]] for x in X)
        made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return made.convert()


def litert_taps(content: bytes) -> list[np.ndarray]:
    """What LiteRT computes of the first picture, but for the decoder."""
    interpreter = Interpreter(model_content=content)
    runner = interpreter.get_signature_runner()
    found = runner(**{next(iter(runner.get_input_details())): X[:1]})
    return [found[f"tap{number}"] for number in range(len(found) - 1)]


@cache
def file_of(name: str, wm: float = 0.35, blocks: int = 0, quant: str = "fp32") -> bytes:
    return to_tflite(encoder(name, wm, blocks=blocks), quant)


def loaded(tmp_path, content: bytes, name: str, wm: float = 0.35, suffix: str = ".tflite", blocks: int = 0) -> keras.Model:
    """Another encoder with the file's weights."""
    (tmp_path / f"net{suffix}").write_bytes(content)
    model = encoder(name, wm, seed=1, blocks=blocks)
    pretrained.load_pretrained(model, str(tmp_path / f"net{suffix}"), encoder=name, wm=wm)
    return model


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v3_small_full",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("mobilenet_v2", "mobilenet_v3_small_thin", "mobilenet_v4_conv_small")),
    ],
)
def test_every_tap_is_that_of_the_float_file(tmp_path, name):
    found = loaded(tmp_path, file_of(name), name)(X[:1])
    for ours, theirs in zip(found, litert_taps(file_of(name)), strict=True):
        assert theirs.std() > 0.01
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("quant", "corr"),
    [pytest.param("fp16", 0.99999, marks=pytest.mark.slow), pytest.param("dynamic", 0.99, marks=pytest.mark.slow), ("int8", 0.99)],
)
def test_weights_in_fewer_bits_become_floats(tmp_path, quant, corr):
    found = loaded(tmp_path, file_of("mobilenet_v2", blocks=3, quant=quant), "mobilenet_v2", blocks=3)(X[:1])
    for ours, theirs in zip(found, litert_taps(file_of("mobilenet_v2", blocks=3)), strict=True):
        assert np.corrcoef(np.ravel(ours), theirs.ravel())[0, 1] > corr


@pytest.mark.slow
@pytest.mark.parametrize("nchw", [True, False])
def test_every_tap_is_that_of_the_onnx_file(tmp_path, nchw):
    ort, tf2onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("tf2onnx.convert")
    name = "mobilenet_v3_small_full"
    spec = [tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image")]
    layout = {"inputs_as_nchw": ["image"]} if nchw else {}
    proto, _ = tf2onnx.from_function(tf.function(encoder(name)), input_signature=spec, opset=18, **layout)
    content = proto.SerializeToString()
    found = loaded(tmp_path, content, name, suffix=".onnx")(X[:1])
    session = ort.InferenceSession(content)
    picture = X[:1].transpose(0, 3, 1, 2) if nchw else X[:1]
    for ours, theirs in zip(found, session.run(None, {session.get_inputs()[0].name: picture}), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


def test_portrait_net_sees_what_the_file_sees(tmp_path):
    """Its pictures are BGR in another range, and its extra first expansion is in no file; both are made up for, but at the rim."""
    (tmp_path / "net.tflite").write_bytes(file_of("mobilenet_v2", blocks=3))
    card = archs.new_card("portrait_net", wm=0.35, size=SIZE)
    model = encoder("", seed=1, blocks=2, limit=None, expand_first=True)
    pretrained.load_pretrained(model, str(tmp_path / "net.tflite"), encoder="mobilenet_v2", wm=0.35, trained=SYMMETRIC, fed=card.input)
    names = ["enc_Conv1_relu", "enc_expanded_conv_expand_relu"]
    stem, expanded = keras.Model(model.input, [model.get_layer(name).output for name in names])(to_input(PICTURES[0], card)[None])
    source = encoder("mobilenet_v2", blocks=3)
    theirs = np.maximum(keras.Model(source.input, source.get_layer("enc_bn_Conv1").output)(X[:1]), 0)
    assert theirs.std() > 0.1
    np.testing.assert_allclose(stem[:, :-1, :-1], theirs[:, :-1, :-1], atol=1e-4)
    assert np.abs(stem - theirs).max() > 1e-2  # the rim
    np.testing.assert_allclose(expanded, stem, rtol=1e-3)


def by_four(channels: float, divisor: int = 4) -> int:
    return max(8, int(channels + divisor / 2) // divisor * divisor)


@pytest.mark.slow
def test_a_width_that_was_rounded_otherwise_is_filled_up(tmp_path, monkeypatch, capsys):
    """24 * 0.5 is 12 in DeepLab and 16 here: the file's channels are all there, and nothing hears the others, until it learns to."""
    monkeypatch.setattr(mobilenet_v2, "divisible", by_four)
    content = to_tflite(encoder("mobilenet_v2", 0.5, blocks=5))
    monkeypatch.undo()
    model = loaded(tmp_path, content, "mobilenet_v2", 0.5, blocks=5)
    assert "fewer channels in 7 layers" in capsys.readouterr().err
    found, theirs = model(X[:1]), litert_taps(content)
    # expansion and projection of each block; its sum where there is one
    assert [tap.shape[-1] for tap in theirs] == [8, 48, 12, 72, 12, 12, 72, 16, 96, 16, 16]
    assert [tap.shape[-1] for tap in found] == [8, 48, 16, 96, 16, 16, 96, 16, 96, 16, 16]
    for ours, expected in zip(found, theirs, strict=True):
        np.testing.assert_allclose(ours[..., : expected.shape[-1]], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    kernel = model.get_layer("enc_block_2_expand").kernel  # 16 to 96, of which the file has 12 to 72
    assert not np.any(kernel[..., 12:, :])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(X[:1])[-1] ** 2)
    assert np.all(np.any(tape.gradient(loss, kernel)[0, 0, 12:, :72], axis=1))


@pytest.mark.parametrize(
    ("name", "wm", "message"),
    [
        ("mobilenet_v2", 0.5, r"its convolution 6 \(.*\) is \(1, 1, 48, 8\), enc_block_1_project needs \(1, 1, 48, 16\).*same --wm"),
        ("mobilenet_v3_small", 0.35, r"convolution 4 \(.*\) is \(1, 1, 8, 48\), enc_expanded_conv_1_expand needs \(1, 1, 8, 40\)"),
        pytest.param(
            "resnet50", 1.0, r"convolution 1 \(.*\) is \(3, 3, 3, 16\), enc_conv1_conv needs \(7, 7, 3, 64\)", marks=pytest.mark.slow
        ),
    ],
)
def test_the_first_layer_that_does_not_fit_is_named_and_nothing_changes(tmp_path, name, wm, message):
    (tmp_path / "net.tflite").write_bytes(file_of("mobilenet_v2", blocks=3))
    model = encoder(name, wm, seed=1)
    before = model.get_weights()
    with pytest.raises(InputError, match=message):
        pretrained.load_pretrained(model, str(tmp_path / "net.tflite"), encoder=name, wm=wm)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_file_that_ends_too_early_is_refused(tmp_path):
    (tmp_path / "net.tflite").write_bytes(file_of("mobilenet_v2", blocks=3))
    for blocks, message in ((4, "enc_block_3_expand needs"), (2, "")):
        model = encoder("mobilenet_v2", blocks=blocks)
        if message:  # what comes is the convolution behind the encoder
            with pytest.raises(InputError, match=message):
                pretrained.load_pretrained(model, str(tmp_path / "net.tflite"), encoder="mobilenet_v2", wm=0.35)
        else:
            pretrained.load_pretrained(model, str(tmp_path / "net.tflite"), encoder="mobilenet_v2", wm=0.35)
    image = keras.Input((8, 8, 3))
    x = image
    for name in "abcd":
        x = keras.layers.Conv2D(3, 1, name=f"enc_{name}")(x)
    (tmp_path / "net.tflite").write_bytes(branches(False))
    with pytest.raises(InputError, match="it has no convolution left for enc_d"):
        match.read(tmp_path / "net.tflite", keras.Model(image, x), prefix="enc_", optional="")


def branches(second_first: bool) -> bytes:
    """Two convolutions of one shape side by side and one behind both; or the second behind the first."""
    random = np.random.default_rng(0)
    stem, one, two = (tf.constant(random.normal(size=(1, 1, 3, 3)), tf.float32) for _ in range(3))

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
    def net(x):
        x = tf.nn.relu(tf.nn.conv2d(x, stem, 1, "SAME"))
        first = tf.nn.relu(tf.nn.conv2d(x, one, 1, "SAME"))
        return tf.nn.conv2d(x if second_first else first, two, 1, "SAME") + first

    return tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()]).convert()


def test_equal_shapes_in_another_order_are_refused(tmp_path):
    image = keras.Input((8, 8, 3))
    x = image
    for name in ("a", "b", "c"):
        x = keras.layers.Conv2D(3, 1, name=f"enc_{name}")(x)
    model = keras.Model(image, x)
    for parallel in (False, True):
        (tmp_path / "net.tflite").write_bytes(branches(parallel))
        if not parallel:
            assert len(match.read(tmp_path / "net.tflite", model, prefix="enc_", optional="")) == 6
        else:
            with pytest.raises(InputError, match=r"convolution 3 .* follows 1, enc_c needs one that follows 2"):
                match.read(tmp_path / "net.tflite", model, prefix="enc_", optional="")


def test_branches_of_different_shape_may_come_in_any_order(tmp_path):
    random = np.random.default_rng(0)
    wide, narrow = (random.normal(size=(side, side, 3, 3)).astype(np.float32) for side in (3, 1))

    def content(first, second) -> bytes:
        @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32)])
        def net(x):
            return tf.nn.relu(tf.nn.conv2d(x, first, 1, "SAME")) + tf.nn.relu(tf.nn.conv2d(x, second, 1, "SAME"))

        return tf.lite.TFLiteConverter.from_concrete_functions([net.get_concrete_function()]).convert()

    image = keras.Input((8, 8, 3))
    branches = [keras.layers.Conv2D(3, side, padding="same", name=f"enc_{side}")(image) for side in (3, 1)]
    model = keras.Model(image, keras.layers.Add()(branches))
    orders = []
    for pair in ((wide, narrow), (narrow, wide)):
        path = tmp_path / "net.tflite"
        path.write_bytes(content(*pair))
        orders.append([conv.kernel.values.shape[0] for conv in trace(tflite.operators(path))])
        found = match.read(path, model, prefix="enc_")
        np.testing.assert_array_equal(found["3/kernel"], wide)
        np.testing.assert_array_equal(found["1/kernel"], narrow)
    assert sorted(orders) == [[1, 3], [3, 1]]


def chain(helper, *, norm: bool = False, external: bool = False, computed: bool = False, bad: bool = False) -> bytes:
    """Two 1x1 convolutions in ONNX."""
    kernel = np.full((3, 3, 1, 1), np.nan if bad else 0.5, np.float32)
    weights = helper.numpy_helper.from_array(kernel, "w")
    if external:
        weights.ClearField("raw_data")
        weights.data_location = helper.TensorProto.EXTERNAL
        weights.external_data.add(key="location", value="/etc/hostname")
    vector = helper.numpy_helper.from_array(np.ones(3, np.float32), "v")
    make = helper.helper.make_node
    nodes = [make("Conv", ["x", "w"], ["a"])]
    nodes += [make("BatchNormalization", ["a", "v", "v", "v", "v"], ["b"])] if norm else [make("Relu", ["a"], ["b"])]
    nodes += [make("Identity", ["w"], ["u"])] if computed else []
    nodes += [make("Conv", ["b", "u" if computed else "w"], ["y"])]
    ends = [helper.helper.make_tensor_value_info(name, 1, [1, 3, 8, 8]) for name in "xy"]
    graph = helper.helper.make_graph(nodes, "net", ends[:1], ends[1:], [weights, vector])
    return helper.helper.make_model(graph).SerializeToString()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": True}, "comes behind BatchNormalization b, which scales or shifts each channel: its batch normalisation is not folded"),
        ({"external": True}, "the weights 'w' lie in another file"),
        ({"computed": True}, "the weights 'u' are computed, not constant"),
        ({"bad": True}, "holds NaN or infinity"),
    ],
)
def test_onnx_that_cannot_be_used_is_refused(tmp_path, changes, message):
    onnx = pytest.importorskip("onnx")
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 1, name="enc_a")(image)
    model = keras.Model(image, keras.layers.Conv2D(3, 1, name="enc_b")(x))
    path = tmp_path / "net.onnx"
    path.write_bytes(chain(onnx))
    np.testing.assert_array_equal(match.read(path, model, prefix="enc_", optional="")["b/kernel"], np.full((1, 1, 3, 3), 0.5))
    path.write_bytes(chain(onnx, **changes))
    with pytest.raises(InputError, match=message):
        match.read(path, model, prefix="enc_", optional="")


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_damaged_files_are_refused_in_one_line(tmp_path, suffix):
    content = chain(pytest.importorskip("onnx")) if suffix == ".onnx" else branches(False)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 1, name="enc_a")(image)
    model = keras.Model(image, keras.layers.Conv2D(3, 1, name="enc_b")(x))
    path = tmp_path / f"net{suffix}"
    random, refused = np.random.default_rng(0), 0
    for number in range(300):
        data = bytearray(content)
        if number % 3:
            for place in random.integers(0, len(data), 6):
                data[place] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
        else:
            del data[random.integers(len(data)) :]
        path.write_bytes(data)
        try:
            match.read(path, model, prefix="enc_", optional="")
        except InputError as error:
            refused += 1
            assert str(path) in str(error)
            assert "\n" not in str(error)
    assert refused > 100


def test_zero_points_and_scales_by_hand():
    """Of a tensor, as in files of 2018, and of each output channel, which is the first axis."""
    numbers = np.array([[130, 120], [128, 0]], np.uint8)
    one = SimpleNamespace(ScaleAsNumpy=lambda: np.array([0.5]), ZeroPointAsNumpy=lambda: np.array([128]), QuantizedDimension=lambda: 0)
    found = tflite._File.scaled(None, SimpleNamespace(Quantization=lambda: one), numbers)
    np.testing.assert_array_equal(found, [[1, -4], [0, -64]])
    scales, zeros = np.array([1, 0.1]), np.array([128, 0])
    two = SimpleNamespace(ScaleAsNumpy=lambda: scales, ZeroPointAsNumpy=lambda: zeros, QuantizedDimension=lambda: 0)
    found = tflite._File.scaled(None, SimpleNamespace(Quantization=lambda: two), numbers)
    np.testing.assert_allclose(found, [[2, -8], [12.8, 0]], rtol=1e-6)


@pytest.mark.parametrize("name", ["net.tflite", "net.onnx"])
def test_a_missing_file_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"no pretrained weights .*; give a .tflite or .onnx file"):
        pretrained.load_pretrained(encoder("mobilenet_v2", blocks=1), str(tmp_path / name), encoder="mobilenet_v2", wm=0.35)


def test_unfolding_keeps_inference_and_mends_training(tmp_path):
    model = loaded(tmp_path, file_of("mobilenet_v2", blocks=7), "mobilenet_v2", blocks=7)
    folded = model.get_weights()
    shown = np.concatenate([X[:4] * 0.2 - 0.8, X[4:] * 0.2 + 0.8])  # a dark batch and a bright one
    before, wrong = model(shown)[-1], model(shown, training=True)[-1]
    model.set_weights(folded)
    unfold(model, [tf.constant(shown[:4]), tf.constant(shown[4:])])
    np.testing.assert_allclose(model(shown)[-1], before, rtol=1e-3, atol=1e-4 * np.abs(before).max())
    for norm in (model.get_layer("enc_bn_Conv1"), model.get_layer("enc_block_5_expand_BN")):
        given = keras.Model(model.input, norm.input)(shown).numpy()
        np.testing.assert_allclose(norm.moving_mean, given.mean((0, 1, 2)), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(norm.moving_variance, given.var((0, 1, 2)), rtol=1e-3, atol=1e-4)
    after = model(shown, training=True)[-1]
    assert np.corrcoef(np.ravel(after), np.ravel(before))[0, 1] > 0.999
    assert np.corrcoef(np.ravel(wrong), np.ravel(before))[0, 1] < 0.9
