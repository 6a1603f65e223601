"""Conversion in four precisions, looked at with a LiteRT interpreter of the tests' own."""

import functools
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg.card import IMAGENET, QUANTS, SYMMETRIC, UNIT, Card
from portraitseg.errors import InputError
from portraitseg.export import tflite, tflite_report
from portraitseg.export.tflite_report import DELEGATE, Report, Tensor
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.rewrite import deploy

SIZE = 32
CARD = Card(arch="munet_mnv3", wm=0.5, size=(SIZE, SIZE), input=SYMMETRIC)


class Blobs:
    """Coloured noise with large and small shapes."""

    def __len__(self) -> int:
        return 16

    def name(self, index: int) -> str:
        return f"blob{index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(index)
        picture = np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((4, 4, 1))) * 0.7 + rng.integers(0, 70, (SIZE, SIZE, 3))
        return picture.astype(np.uint8), np.zeros((SIZE, SIZE), np.uint8)


def _calibration(card: Card = CARD) -> CalibrationSet:
    return CalibrationSet(source=Blobs(), indices=range(8), card=card)


def _varied(model: keras.Model, *, gain: float = 1.0) -> keras.Model:
    """Weights whose prob varies over the picture, and no bias of 0: the converter drops such a one, and fuses no ReLU then."""
    rng = np.random.default_rng(5)
    for layer in model.layers:
        ranges = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 1.5), "bias": (-0.3, 0.3), "beta": (-0.3, 0.3), "moving_mean": (-0.3, 0.3)}
        for weight in layer.weights:
            kind = weight.name.split("/")[-1].split(":")[0]
            weight.assign(rng.uniform(*ranges[kind], weight.shape) if kind in ranges else weight * gain)
    return model


@functools.cache
def _graph(classes: int = 1) -> keras.Model:
    """Down, up, a skip: a net of a few layers whose prob varies over the picture."""
    keras.utils.set_random_seed(5)
    image = keras.Input((SIZE, SIZE, 3))
    skip = layers.ReLU(6.0)(layers.Conv2D(64, 3, 2, padding="same")(image))
    x = layers.ReLU()(layers.Conv2D(128, 3, 2, padding="same")(skip))
    x = layers.ReLU()(layers.Conv2DTranspose(64, 3, 2, padding="same")(x))
    x = layers.Conv2D(classes, 1)(layers.Concatenate()([x, skip]))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    model = _varied(keras.Model(image, layers.Activation("linear", name="logits")(x)), gain=3.0)
    return deploy.to_deploy(model, Card(arch="a", wm=1, size=(SIZE, SIZE), input=SYMMETRIC, classes=classes))[0]


@functools.cache
def _content(quant: str, io: str = "uint8") -> bytes:
    return tflite.convert(_graph(), quant, calibration=_calibration() if quant == "int8" else None, io=io)


def _run(content: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _held_out() -> np.ndarray:
    """A picture (1,h,w,3) uint8 that calibration did not see."""
    return Blobs().load(12)[0][None]


def _keras_prob() -> np.ndarray:
    prob = np.asarray(_graph()(_held_out() / np.float32(127.5) - 1))
    assert prob.std() > 0.05
    return prob


@pytest.mark.parametrize(("quant", "tolerance"), [("fp32", 1e-5), ("fp16", 2e-3), ("dynamic", 2e-2)])
def test_float_files_take_the_prepared_input_and_give_the_prob(quant: str, tolerance: float) -> None:
    x = (_held_out() / 127.5 - 1).astype(np.float32)
    np.testing.assert_allclose(_run(_content(quant), x), _keras_prob(), atol=tolerance)


def test_smaller_weights_make_smaller_files() -> None:
    parameters = _graph().count_params()
    overhead = 24_000
    for quant, size in {"fp32": 4, "fp16": 2, "dynamic": 1, "int8": 1}.items():
        assert size * parameters < len(_content(quant)) < size * parameters + overhead


def test_int8_takes_raw_bytes_and_gives_prob_in_256ths() -> None:
    found = _run(_content("int8"), _held_out())
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found / 256, _keras_prob(), atol=0.05)
    assert np.abs(found / 256 - _keras_prob()).mean() < 0.01


def test_signed_bytes_are_the_unsigned_ones_shifted() -> None:
    signed = _run(_content("int8", "int8"), (_held_out().astype(np.int16) - 128).astype(np.int8))
    np.testing.assert_array_equal(signed.astype(np.int16) + 128, _run(_content("int8"), _held_out()))


def test_int8_with_float_ends_is_int8_inside() -> None:
    content = _content("int8", "float")
    report = tflite_report.inspect(content)
    assert (report.input.dtype, report.output.dtype, report.float_tensors) == ("float32", "float32", ())
    tflite.check_int8(report, CARD, io="float")
    np.testing.assert_allclose(_run(content, (_held_out() / 127.5 - 1).astype(np.float32)), _keras_prob(), atol=0.05)


def test_the_int8_report() -> None:
    report = tflite_report.inspect(_content("int8"))
    assert report.size == len(_content("int8"))
    resize = Counter(STRIDED_SLICE=4, CONCATENATION=3, CONV_2D=4, DEPTH_TO_SPACE=1)  # of one channel: see rewrite/thin_resize.py
    transposed = Counter(PAD=3, CONV_2D=4, CONCATENATION=1, DEPTH_TO_SPACE=1)  # see rewrite/subpixel.py
    assert report.ops == Counter(QUANTIZE=2, LOGISTIC=1) + resize + transposed
    assert report.partitions == 1
    assert report.outside == {"QUANTIZE": 2}  # uint8 to int8 and back, at the two ends
    assert report.float_tensors == ()
    assert report.input == Tensor(dtype="uint8", scale=pytest.approx(2 / 255), zero_point=127)
    assert report.output == Tensor(dtype="uint8", scale=1 / 256, zero_point=0)
    text = "\n".join(report.lines())
    assert "XNNPACK partitions   1; outside them: QUANTIZE 2" in text
    assert "CONV_2D 8" in text


def test_a_lone_relu_cuts_the_int8_graph_in_two() -> None:
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same")(image)
    x = layers.ReLU()(layers.Concatenate()([x, layers.Conv2D(4, 1)(x)]))
    model = _varied(keras.Model(image, layers.Conv2D(1, 1, name="logits")(x)))
    graph, _ = deploy.to_deploy(model, CARD)

    report = tflite_report.inspect(tflite.convert(graph, "int8", calibration=_calibration()))

    assert report.partitions == 2
    assert report.outside == {"QUANTIZE": 2, "RELU": 1}


def test_outside_ops_on_a_graph_worked_by_hand() -> None:
    def node(name: str, inputs: list[int], outputs: list[int]) -> dict[str, object]:
        return {"op_name": name, "inputs": inputs, "outputs": outputs}

    # 0 -A-> 1 -B-> 2 -C-> 3 -D-> 4 -E-> 5 and 3 -F-> 6; the delegate took B and C, which give 3 from 1
    ops = [node(name, [i], [i + 1]) for i, name in enumerate("ABCDE")]
    ops.append(node("F", [3], [6]))
    assert tflite_report.outside_ops([*ops, node(DELEGATE, [1, 90], [3])]) == {"A": 1, "D": 1, "E": 1, "F": 1}
    assert tflite_report.outside_ops([*ops, node(DELEGATE, [0], [5, 6])]) == {}
    assert tflite_report.outside_ops(ops) == dict.fromkeys("ABCDEF", 1)
    # two parts, D between them; F hangs on the first
    two = [*ops, node(DELEGATE, [0], [3, 6]), node(DELEGATE, [4], [5])]
    assert tflite_report.outside_ops(two) == {"D": 1}


def test_a_litert_that_lists_no_nodes_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Interpreter, "_get_ops_details")
    report = tflite_report.inspect(_content("fp32"))
    assert report.partitions is None
    assert report.ops is None
    assert "XNNPACK partitions   unknown (this LiteRT does not list its nodes)" in report.lines()
    assert report.float_tensors


def test_of_several_outputs_none_is_an_inner_tensor() -> None:
    image = keras.Input((SIZE, SIZE, 3), batch_size=1)
    x = layers.Conv2D(4, 3)(image)
    content = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, [x, layers.Conv2D(2, 1)(x)])).convert()
    report = tflite_report.inspect(content)
    assert report.ops == {"CONV_2D": 2}
    assert len(report.float_tensors) == 4  # two kernels, two biases


def test_two_classes_add_up_to_one() -> None:
    card = Card(arch="a", wm=1, size=(SIZE, SIZE), input=SYMMETRIC, classes=2)
    content = tflite.convert(_graph(2), "int8", calibration=_calibration(card))
    tflite.check_int8(tflite_report.inspect(content), card, io="uint8")
    found = _run(content, _held_out()).astype(int)
    assert np.abs(found.sum(-1) - 256).max() <= 2


def test_a_unit_input_gets_an_exact_zero_point() -> None:
    card = Card(arch="a", wm=1, size=(SIZE, SIZE), input=UNIT)
    report = tflite_report.inspect(tflite.convert(_graph(), "int8", calibration=_calibration(card)))
    tflite.check_int8(report, card, io="uint8")
    assert report.input == Tensor(dtype="uint8", scale=pytest.approx(1 / 255), zero_point=0)
    with pytest.raises(InputError, match=r"should be raw bytes \(uint8, scale 0.00784314, zero point 127.5\)"):
        tflite.check_int8(report, CARD, io="uint8")


def test_an_int8_file_with_float_tensors_is_refused() -> None:
    with pytest.raises(InputError, match=r"must be full integer, but \d+ float tensors"):
        tflite.check_int8(tflite_report.inspect(_content("dynamic")), CARD, io="float")


@pytest.mark.parametrize(
    ("source", "sink", "message"),
    [
        (Tensor(dtype="uint8", scale=0.0070, zero_point=127), None, "scale 0.007, zero point 127; export with --io float"),
        (Tensor(dtype="uint8", scale=2 / 255, zero_point=120), None, "zero point 120"),
        (Tensor(dtype="int8", scale=2 / 255, zero_point=0), None, "the converter gave int8"),
        (None, Tensor(dtype="uint8", scale=1 / 255, zero_point=0), "the output should be uint8 with scale 1/256"),
    ],
)
def test_other_scales_than_a_bytes_are_refused(source: Tensor | None, sink: Tensor | None, message: str) -> None:
    good = Tensor(dtype="uint8", scale=2 / 255, zero_point=128), Tensor(dtype="uint8", scale=1 / 256, zero_point=0)
    rest = {"size": 1, "float_tensors": (), "ops": {}, "partitions": 1, "outside": {}}
    tflite.check_int8(Report(input=good[0], output=good[1], **rest), CARD, io="uint8")
    with pytest.raises(InputError, match=message):
        tflite.check_int8(Report(input=source or good[0], output=sink or good[1], **rest), CARD, io="uint8")


def test_channels_of_different_range_cannot_be_raw_bytes() -> None:
    with pytest.raises(InputError, match=r"share one mean and one std.*--io float"):
        tflite.byte_quantization(IMAGENET)


def test_what_cannot_be_converted_is_refused() -> None:
    with pytest.raises(InputError, match="unknown quant 'int4'; choose one of " + ", ".join(QUANTS)):
        tflite.convert(_graph(), "int4")
    with pytest.raises(InputError, match="unknown io 'int16'"):
        tflite.convert(_graph(), "int8", io="int16")
    for calibration in (None, CalibrationSet(source=Blobs(), indices=[], card=CARD)):
        with pytest.raises(InputError, match=r"int8 needs pictures to calibrate with.*--data DIR"):
            tflite.convert(_graph(), "int8", calibration=calibration)


def test_conversion_shows_a_progress_bar_and_no_chatter(capfd: pytest.CaptureFixture[str]) -> None:
    tflite_report.inspect(tflite.convert(_graph(), "int8", calibration=_calibration()))
    out, err = capfd.readouterr()
    assert out == ""
    assert "calibrating: 100%" in err
    assert not {"W0000", "I0000", "XNNPACK", "fully_quantize"} & {word.split(":")[0] for word in err.split()}
