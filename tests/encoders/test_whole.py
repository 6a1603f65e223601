"""A whole net from a folded file: LiteRT computes of the file what ours computes of its weights."""

import functools

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from portraitseg import archs
from portraitseg.card import SYMMETRIC, UNIT
from portraitseg.encoders import pretrained
from portraitseg.encoders.folded import match
from portraitseg.errors import InputError

SIZE = 64
KIND = schema.BuiltinOperator
X = np.random.default_rng(3).uniform(0, 1, (1, SIZE, SIZE, 3)).astype(np.float32)


def net(*, seed: int, wm: float = 0.5) -> keras.Model:
    """selfie_net with weights and batch-norm statistics that are drawn."""
    keras.utils.set_random_seed(seed)
    model = archs.build(archs.new_card("selfie_net", wm=wm, size=SIZE))
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
        elif "bias" in [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]:
            layer.set_weights([layer.get_weights()[0], random.uniform(-1, 1, layer.get_weights()[1].shape)])
    return model


@functools.cache
def content(wm: float = 0.5) -> bytes:
    """A file of the net with seed 0."""
    model = net(seed=0, wm=wm)
    module = tf.Module()
    module.held = model.variables
    spec = tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32)
    function = tf.function(lambda x: model(x, training=False), input_signature=[spec]).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert()


def computed(content: bytes) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    runner = interpreter.get_signature_runner()
    return next(iter(runner(**{next(iter(runner.get_input_details())): X}).values()))


def head_as(content: bytes, kind: str) -> bytes:
    """The file with its transposed convolution as older converters write it, with an ADD for the bias, or as MediaPipe does."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]
    place = next(n for n, op in enumerate(graph.operators) if model.operatorCodes[op.opcodeIndex].builtinCode == KIND.TRANSPOSE_CONV)
    head, code = graph.operators[place], schema.OperatorCodeT()
    _, weights, x, bias = head.inputs
    code.version = 1
    model.operatorCodes.append(code)
    if kind == "custom":
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = KIND.CUSTOM, KIND.CUSTOM, b"Convolution2DTransposeBias"
        head.opcodeIndex, head.inputs, head.builtinOptions, head.builtinOptionsType = (
            len(model.operatorCodes) - 1,
            [x, weights, bias],
            None,
            0,
        )
    else:
        code.builtinCode, code.deprecatedBuiltinCode = KIND.ADD, KIND.ADD
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer, tensor.name = graph.tensors[head.outputs[0]].shape, 0, 0, b"sum"
        graph.tensors.append(tensor)
        add = schema.OperatorT()
        add.opcodeIndex, add.inputs, add.outputs = len(model.operatorCodes) - 1, [len(graph.tensors) - 1, bias], head.outputs
        head.inputs, head.outputs = list(head.inputs[:3]), [len(graph.tensors) - 1]
        graph.operators.insert(place + 1, add)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("head", ["own", "add", "custom"])
def test_every_layer_is_filled(tmp_path, head):
    path = tmp_path / "net.tflite"
    path.write_bytes(content() if head == "own" else head_as(content(), head))
    model = net(seed=1)
    filled = pretrained.load_whole(model, path, trained=UNIT, fed=UNIT)
    assert filled == sum(bool(layer.weights) for layer in model.layers)
    expected = computed(content())
    assert expected.std() > 0.1
    np.testing.assert_allclose(model(X), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_slopes_and_the_difference_of_two_channels(tmp_path):
    """A net with PReLUs, one behind an addition and two side by side, and two channels of which the second is the person's."""

    def build(classes: int, seed: int) -> keras.Model:
        image = keras.Input((8, 8, 3))
        prelu = functools.partial(keras.layers.PReLU, shared_axes=[1, 2])
        x = prelu(name="act1")(keras.layers.Conv2D(4, 3, padding="same", name="conv1")(image))
        one, two = (prelu(name=f"act_{name}")(keras.layers.Conv2D(4, 1, name=f"conv_{name}")(x)) for name in ("a", "b"))
        x = prelu(name="act2")(keras.layers.Add()([one, two]))
        model = keras.Model(image, keras.layers.Conv2D(classes, 1, name="head")(x))
        random = np.random.default_rng(seed)
        model.set_weights([random.uniform(-1, 1, value.shape) for value in model.get_weights()])
        return model

    source, model, path = build(2, 0), build(1, 1), tmp_path / "net.tflite"
    spec = tf.TensorSpec((1, 8, 8, 3), tf.float32, name="image")
    function = tf.function(source, input_signature=[spec]).get_concrete_function()
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], source).convert())
    assert pretrained.load_whole(model, path, trained=UNIT, fed=UNIT) == 8
    background, person = np.moveaxis(source(X[:, :8, :8]).numpy(), -1, 0)
    np.testing.assert_allclose(model(X[:, :8, :8])[..., 0], person - background, atol=1e-5)


def test_slopes_in_onnx(tmp_path):
    """(C,1,1) there, as PyTorch writes them."""
    onnx = pytest.importorskip("onnx")
    random = np.random.default_rng(0)
    make, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    constants = [tensor(random.normal(size=shape).astype(np.float32), name) for name, shape in (("w", (4, 3, 1, 1)), ("s", (4, 1, 1)))]
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, channels, 8, 8]) for name, channels in (("x", 3), ("y", 4))]
    graph = onnx.helper.make_graph(
        [make("Conv", ["x", "w"], ["a"]), make("PRelu", ["a", "s"], ["y"])], "net", ends[:1], ends[1:], constants
    )
    (tmp_path / "net.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    image = keras.Input((8, 8, 3))
    x = keras.layers.PReLU(shared_axes=[1, 2], name="act")(keras.layers.Conv2D(4, 1, name="conv")(image))
    found = match.read(tmp_path / "net.onnx", keras.Model(image, x), prefix="")
    kernel, slopes = (onnx.numpy_helper.to_array(constant) for constant in constants)
    np.testing.assert_array_equal(found["act/alpha"].ravel(), slopes.ravel())
    np.testing.assert_array_equal(found["conv/kernel"][0, 0], kernel[:, :, 0, 0].T)


@pytest.mark.parametrize("mean_first", [False, True])
def test_a_branch_behind_a_mean_and_one_beside_it(tmp_path, mean_first):
    """Of one shape, from one map, in either order."""
    onnx = pytest.importorskip("onnx")
    random, make = np.random.default_rng(0), onnx.helper.make_node
    kernels = {name: random.normal(size=(4, 3, 1, 1)).astype(np.float32) for name in ("seen", "mean")}
    branches = [make("Conv", ["x", "seen"], ["a"]), make("GlobalAveragePool", ["x"], ["m"]), make("Conv", ["m", "mean"], ["b"])]
    branches = branches[1:] + branches[:1] if mean_first else branches
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, channels, 8, 8]) for name, channels in (("x", 3), ("y", 4))]
    constants = [onnx.numpy_helper.from_array(values, name) for name, values in kernels.items()]
    graph = onnx.helper.make_graph([*branches, make("Mul", ["a", "b"], ["y"])], "net", ends[:1], ends[1:], constants)
    (tmp_path / "net.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    image = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True)(image)
    both = [keras.layers.Conv2D(4, 1, name=name)(x) for name, x in (("seen", image), ("mean", mean))]
    found = match.read(tmp_path / "net.onnx", keras.Model(image, keras.layers.Multiply()(both)), prefix="")
    for name, kernel in kernels.items():
        np.testing.assert_array_equal(found[f"{name}/kernel"][0, 0], kernel[:, :, 0, 0].T)


def test_pictures_in_another_range(tmp_path):
    """All but the rim, where the padding's zeros stand for another colour, which the gates spread over the picture: about the same."""
    path = tmp_path / "net.tflite"
    path.write_bytes(content())
    model = net(seed=1)
    pretrained.load_whole(model, path, trained=UNIT, fed=SYMMETRIC)
    expected = computed(content())
    right, wrong = (float(np.abs(model(x) - expected).mean()) for x in (2 * X - 1, X))
    assert right < 0.2 * wrong


@pytest.mark.slow
def test_another_projects_onnx(tmp_path):
    """A transposed convolution, whose weights ONNX keeps as (in,out,h,w)."""
    ort, tf2onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("tf2onnx.convert")
    spec = [tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image")]
    source = net(seed=0)
    proto, _ = tf2onnx.from_function(tf.function(source), input_signature=spec, opset=18)
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    model = net(seed=1)
    pretrained.load_whole(model, path, trained=UNIT, fed=UNIT)
    session = ort.InferenceSession(proto.SerializeToString())
    expected = session.run(None, {session.get_inputs()[0].name: X})[0]
    np.testing.assert_allclose(model(X), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("wm", [0.5, 1.0])
def test_a_file_of_another_width_is_refused_and_nothing_changes(tmp_path, wm):
    path = tmp_path / "net.tflite"
    path.write_bytes(content(1.5 - wm))
    model = net(seed=1, wm=wm)
    before = model.get_weights()
    with pytest.raises(
        InputError, match=r"does not fit this net: its convolution .* needs .*; the file must hold the same net at the same --wm"
    ):
        pretrained.load_whole(model, path, trained=UNIT, fed=UNIT)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_transposed_kernel_by_hand(tmp_path):
    """Output (out) and input (in) of different width, and no symmetry to hide behind: (h,w,out,in) as Keras has it."""
    kernel = np.arange(2 * 2 * 5 * 3, dtype=np.float32).reshape(2, 2, 5, 3)

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3), tf.float32)])
    def up(x):
        return tf.nn.conv2d_transpose(x, kernel, (1, 8, 8, 5), 2, "SAME")

    path = tmp_path / "up.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([up.get_concrete_function()]).convert())
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Conv2DTranspose(5, 2, 2, padding="same", name="head")(image))
    np.testing.assert_array_equal(match.read(path, model, prefix="")["head/kernel"], kernel)
