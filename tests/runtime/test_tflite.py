"""The nets here are one 1x1 convolution with known weights, so that NumPy can say what must come out."""

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg.card import IMAGENET, SYMMETRIC, UNIT, Card, card_path
from portraitseg.errors import InputError
from portraitseg.runtime import foreign_card, open_artifact, predict

SIZE = (8, 16)
KERNEL = np.array([2.0, -1.0, 0.5], np.float32)
BIAS = 0.25
PICTURE = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)


def convert(*, output="prob", io="float32", low=0.0, high=1.0, classes=1, flat=False, inputs=1):
    """A .tflite as bytes; `low` and `high` are the calibrated range of an 8-bit input."""
    import tensorflow as tf

    kernel = np.zeros((1, 1, 3, classes), np.float32)
    kernel[..., -1] = KERNEL
    if classes > 1:
        kernel[..., 0] = [0.3, 0.6, -0.9]

    class Net(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, *SIZE, 3), tf.float32)] * inputs)
        def call(self, *x):
            y = tf.nn.conv2d(sum(x), kernel, 1, "VALID") + BIAS
            if output == "prob":
                y = tf.sigmoid(y) if classes == 1 else tf.nn.softmax(y)
            return tf.reshape(y, (1, -1)) if flat else y

    net = Net()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([net.call.get_concrete_function()], net)
    if io != "float32":
        samples = np.random.default_rng(0).uniform(low, high, (50, 1, *SIZE, 3)).astype(np.float32)
        samples[:, 0, 0, 0], samples[:, 0, 0, 1] = (high, low, high), (low, high, low)  # the extremes of input and output
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, io)
    return converter.convert()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("nets")
    (root / "prob.tflite").write_bytes(convert())
    (root / "logits.tflite").write_bytes(convert(output="logits"))
    (root / "flat2.tflite").write_bytes(convert(output="logits", classes=2, flat=True))
    (root / "softmax2.tflite").write_bytes(convert(classes=2))
    (root / "uint8.tflite").write_bytes(convert(io="uint8"))
    (root / "uint8_wide.tflite").write_bytes(convert(io="uint8", low=-1.0, high=3.0))
    (root / "int8.tflite").write_bytes(convert(io="int8"))
    (root / "uint8_symmetric.tflite").write_bytes(convert(io="uint8", low=-1.0))
    (root / "int8_symmetric.tflite").write_bytes(convert(io="int8", low=-1.0))
    return root


def a_card(**changes):
    return dataclasses.replace(Card(arch="conv", wm=1.0, size=SIZE, input=UNIT, output="prob"), **changes)


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def expected(picture, spec=UNIT):
    pixels = picture[..., ::-1] if spec.order == "bgr" else picture
    return sigmoid((pixels.astype(np.float64) - spec.mean) / spec.std @ KERNEL.astype(np.float64) + BIAS)


@pytest.mark.parametrize("spec", [UNIT, SYMMETRIC, IMAGENET, dataclasses.replace(IMAGENET, order="bgr")], ids=str)
def test_a_float_net_gives_what_numpy_gives(folder, spec):
    runtime = open_artifact(folder / "prob.tflite", card=a_card(input=spec))
    prob = runtime(PICTURE)
    assert prob.dtype == np.float32
    assert prob.shape == SIZE
    np.testing.assert_allclose(prob, expected(PICTURE, spec), atol=1e-5)
    np.testing.assert_allclose(runtime.run(PICTURE), prob, atol=1e-6)  # bytes at the model's size


@pytest.mark.parametrize("name", ["uint8", "int8", "uint8_wide"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_an_8_bit_net_gives_what_numpy_gives_to_within_its_steps(folder, name, order):
    spec = dataclasses.replace(UNIT, order=order)
    runtime = open_artifact(folder / f"{name}.tflite", card=a_card(input=spec, io=name[:5].rstrip("_")))
    step = 4 / 255 if name == "uint8_wide" else 1 / 255  # of the input
    np.testing.assert_allclose(runtime(PICTURE), expected(PICTURE, spec), atol=step + 1.5 / 256)


@pytest.mark.parametrize(("name", "spec"), [("uint8", UNIT), ("int8", UNIT), ("uint8_symmetric", SYMMETRIC), ("int8_symmetric", SYMMETRIC)])
def test_bytes_are_fed_as_they_are_where_the_tensor_is_made_of_them(folder, name, spec):
    kind = name.partition("_")[0]
    runtime = open_artifact(folder / f"{name}.tflite", card=a_card(input=spec, io=kind))
    np.testing.assert_allclose(runtime(PICTURE), expected(PICTURE, spec), atol=3 / 256)
    source = runtime.engine.interpreter.get_input_details()[0]
    fed = runtime.engine.interpreter.get_tensor(source["index"])[0].astype(int)
    np.testing.assert_array_equal(fed, PICTURE if kind == "uint8" else PICTURE.astype(int) - 128)


def test_a_foreign_8_bit_file_is_fed_by_exact_rounding(folder):
    path = folder / "uint8_symmetric.tflite"
    runtime = open_artifact(path, card=foreign_card(path, input_range="-1..1"))
    runtime(PICTURE)
    source = runtime.engine.interpreter.get_input_details()[0]
    scale, zero = source["quantization"]
    x = PICTURE.astype(np.float32) / 127.5 - 1
    wanted = np.clip(np.round(x / scale + zero), 0, 255)
    assert (wanted != PICTURE).any()  # else this would show nothing
    np.testing.assert_array_equal(runtime.engine.interpreter.get_tensor(source["index"])[0], wanted)


@pytest.mark.parametrize("name", ["uint8_wide", "int8"])
def test_the_table_of_bytes_gives_what_the_float_input_gives(folder, name):
    runtime = open_artifact(folder / f"{name}.tflite", card=a_card())
    np.testing.assert_array_equal(runtime.run(PICTURE), runtime.run((PICTURE / np.float32(255)).astype(np.float32)))


def test_two_flattened_classes_of_logits_become_the_softmax_of_the_second(folder):
    path = folder / "flat2.tflite"
    card = foreign_card(path, input_range="0..1")
    assert (card.size, card.classes, card.output) == (SIZE, 2, "logits")
    logits = PICTURE / 255 @ np.stack([[0.3, 0.6, -0.9], KERNEL], 1) + BIAS
    powers = np.exp(logits)
    np.testing.assert_allclose(open_artifact(path, card=card)(PICTURE), powers[..., 1] / powers.sum(-1), atol=1e-5)
    probs = open_artifact(folder / "softmax2.tflite", card=foreign_card(folder / "softmax2.tflite", input_range="0..1"))
    np.testing.assert_allclose(probs(PICTURE), powers[..., 1] / powers.sum(-1), atol=1e-5)


@pytest.mark.parametrize(("name", "output"), [("prob", "prob"), ("logits", "logits"), ("softmax2", "prob"), ("uint8", "prob")])
def test_the_card_of_a_foreign_file_tells_logits_from_prob(folder, name, output):
    assert foreign_card(folder / f"{name}.tflite", input_range="-1..1").output == output


def test_what_the_user_says_of_a_foreign_file_is_taken(folder):
    card = foreign_card(folder / "prob.tflite", input_range="imagenet", order="bgr", output="logits", fit="letterbox")
    assert (card.output, card.fit, card.input.order) == ("logits", "letterbox", "bgr")
    assert card.input.mean == IMAGENET.mean[::-1]
    prob = open_artifact(folder / "prob.tflite", card=dataclasses.replace(card, fit="stretch"))(PICTURE)
    np.testing.assert_allclose(
        prob, sigmoid(expected(PICTURE, dataclasses.replace(IMAGENET, mean=card.input.mean, std=card.input.std, order="bgr"))), atol=1e-5
    )


def test_predict_gives_the_pictures_own_size_and_undoes_the_letterbox(folder):
    picture = np.zeros((40, 20, 3), np.uint8)  # fills 8 x 4 of the 8 x 16
    picture[:, 10:, 0] = 255
    runtime = open_artifact(folder / "prob.tflite", card=a_card(fit="letterbox"))
    prob = predict(runtime, picture)
    assert prob.shape == (40, 20)
    np.testing.assert_allclose(prob[:, :5], sigmoid(BIAS), atol=1e-5)
    np.testing.assert_allclose(prob[:, 15:], sigmoid(2 + BIAS), atol=1e-5)


def test_an_8_bit_letterbox_equals_the_float_one(folder):
    picture = cv2.resize(PICTURE, (20, 40))
    exact = predict(open_artifact(folder / "prob.tflite", card=a_card(fit="letterbox")), picture)
    small = predict(open_artifact(folder / "uint8.tflite", card=a_card(fit="letterbox", io="uint8")), picture)
    np.testing.assert_allclose(small, exact, atol=2.5 / 255)


def test_the_card_beside_the_file_is_used(folder, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes((folder / "prob.tflite").read_bytes())
    with pytest.raises(InputError, match=r"net\.json.*--input-range"):
        open_artifact(path)
    a_card(input=SYMMETRIC).save(card_path(path))
    np.testing.assert_allclose(open_artifact(path)(PICTURE), expected(PICTURE, SYMMETRIC), atol=1e-5)


@pytest.mark.parametrize("changes", [{"size": (16, 16)}, {"classes": 2}, {"channels": 4}], ids=str)
def test_the_card_of_another_file_is_refused(folder, changes):
    with pytest.raises(InputError, match="card of another file"):
        open_artifact(folder / "prob.tflite", card=a_card(**changes))


def test_other_nets_are_refused(tmp_path):
    for name, change, message in (
        ("classes", {"classes": 3, "output": "logits"}, "one or two classes"),
        ("inputs", {"inputs": 2}, "one picture"),
    ):
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(convert(**change))
        with pytest.raises(InputError, match=message):
            open_artifact(path, card=a_card())


def test_wrong_paths_and_numbers_are_refused(folder, tmp_path):
    (tmp_path / "net.pt").write_bytes(b"x")
    (tmp_path / "empty.tflite").write_bytes(b"")
    for path, message in (
        (tmp_path / "net.pt", r"must be \.tflite, .* a folder, \.h5 or \.zip, got '\.pt'"),
        (tmp_path / "none.tflite", "no model file"),
        (tmp_path / "empty.tflite", "TFL3"),
    ):
        with pytest.raises(InputError, match=message):
            open_artifact(path, card=a_card())
    with pytest.raises(InputError, match="threads"):
        open_artifact(folder / "prob.tflite", card=a_card(), threads=0)
    with pytest.raises(InputError, match=r"--input-range must be one of 0\.\.1"):
        foreign_card(folder / "prob.tflite", input_range="0..2")


def test_a_truncated_or_random_file_is_an_error_and_no_crash(folder, tmp_path):
    whole = (folder / "uint8.tflite").read_bytes()
    noise = np.random.default_rng(0).bytes(5000)
    cuts = [whole[: len(whole) * part // 16] for part in range(1, 16)]
    for index, data in enumerate([*cuts, noise, noise[:4] + b"TFL3" + noise[8:], whole[:4] + b"TFL3" + noise, b"\x10\0\0\0TFL3" + noise]):
        (tmp_path / f"{index}.tflite").write_bytes(data)
        a_card(io="uint8").save(tmp_path / f"{index}.json")
    code = (
        "import sys; from pathlib import Path\n"
        "from portraitseg.errors import InputError; from portraitseg.runtime import open_artifact\n"
        "for path in sorted(Path(sys.argv[1]).glob('*.tflite')):\n"
        "    try: open_artifact(path)\n"
        "    except InputError as error: print('refused', error)\n"
    )
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    lines = child.stdout.splitlines()
    assert len(lines) == len(cuts) + 4
    assert all(line.startswith("refused") and ".tflite" in line for line in lines)


def test_the_built_in_kernels_run_what_xnnpack_refuses(folder, monkeypatch, capsys):
    from ai_edge_litert import interpreter

    class Refusing(interpreter.Interpreter):
        def __init__(self, *args, **options):
            if "experimental_op_resolver_type" not in options:
                raise RuntimeError("failed to\nprepare")
            super().__init__(*args, **options)

    monkeypatch.setattr(interpreter, "Interpreter", Refusing)
    prob = open_artifact(folder / "prob.tflite", card=a_card())(PICTURE)
    np.testing.assert_allclose(prob, expected(PICTURE), atol=1e-5)
    assert "XNNPACK refuses prob.tflite" in capsys.readouterr().err


def test_an_artifact_runs_without_tensorflow(folder):
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from portraitseg.runtime import foreign_card, open_artifact, predict\n"
        "path = Path(sys.argv[1])\n"
        "predict(open_artifact(path, card=foreign_card(path, input_range='0..1')), np.zeros((9, 9, 3), np.uint8))\n"
        "print([name for name in ('tensorflow', 'tf_keras', 'PIL', 'scipy', 'matplotlib') if name in sys.modules])\n"
    )
    child = subprocess.run([sys.executable, "-c", code, str(folder / "prob.tflite")], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"


def test_paths_are_given_as_pathlib_paths_with_any_case_of_suffix(folder, tmp_path):
    path = Path(tmp_path / "NET.TFLITE")
    path.write_bytes((folder / "prob.tflite").read_bytes())
    assert open_artifact(path, card=a_card())(PICTURE).shape == SIZE


def test_a_file_with_one_flipped_byte_is_refused_by_its_card(folder, tmp_path):
    content = bytearray((folder / "prob.tflite").read_bytes())
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    a_card(sha256=hashlib.sha256(content).hexdigest()).save(card_path(path))
    open_artifact(path)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged, or .* is the card of another file"):
        open_artifact(path)
