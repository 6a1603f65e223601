"""One or two output channels, three or four input channels: every runtime gives the person's prob that numpy works out."""

from dataclasses import replace

import numpy as np
import pytest

from portraitseg import archs, benchmark
from portraitseg.archs import ArchSpec
from portraitseg.card import CAFFE, IMAGENET, SYMMETRIC, Card, card_path
from portraitseg.export import tflite
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.rewrite import deploy, int8_graph, int8_input
from portraitseg.runtime import open_artifact

SIZE = 32
random = np.random.default_rng(5)
PICTURES = random.integers(0, 256, (8, SIZE, SIZE, 3)).astype(np.uint8)
FIRST, SECOND = random.normal(0, 0.5, (4, 6)), random.normal(0, 1.5, (6, 2))


def two_layers(x, *, wm, classes):
    """Per pixel: six features, ReLU, logits."""
    from tf_keras import layers

    x = layers.ReLU(name="enc_relu")(layers.Conv2D(6, 1, use_bias=False, name="enc_conv")(x))
    return layers.Conv2D(classes, 1, use_bias=False, name="head_conv")(x)


class Noise:
    def __len__(self):
        return len(PICTURES)

    def name(self, index):
        return str(index)

    def load(self, index):
        return PICTURES[index], np.zeros((SIZE, SIZE), np.uint8)


@pytest.fixture(params=[(1, 3, SYMMETRIC), (2, 3, IMAGENET), (1, 4, CAFFE), (2, 4, SYMMETRIC)], ids=["1-3", "2-3", "1-4", "2-4"])
def case(request, monkeypatch):
    """A net, its card, and its prob of the first picture by numpy: softmax's channel 1, or the sigmoid."""
    classes, channels, spec = request.param
    monkeypatch.setitem(archs.ARCHS, "two_layers", ArchSpec(builder=two_layers, size=SIZE, input=spec, paper="-"))
    card = archs.new_card("two_layers", channels=channels, classes=classes)
    model = archs.build(card)
    scale = 60 if spec is CAFFE else 1
    first, second = FIRST[:channels] / scale, SECOND[:, :classes]
    model.get_layer("enc_conv").set_weights([first[None, None]])
    model.get_layer("head_conv").set_weights([second[None, None]])
    x = PICTURES[0].astype(np.float64)[..., :: -1 if spec.order == "bgr" else 1]
    x = (x - spec.mean) / spec.std  # the fourth channel, the prior of a single picture, is 0
    powers = np.exp(np.maximum(x @ first[:3], 0) @ second)
    prob = powers[..., 1] / powers.sum(-1) if classes == 2 else powers[..., 0] / (1 + powers[..., 0])
    assert prob.std() > 0.15
    return model, card, prob


def written(path, content, card):
    path.write_bytes(content)
    card.save(card_path(path))
    return path


def test_a_float_file(case, kind, write_as, tmp_path):
    model, card, prob = case
    runtime = open_artifact(write_as(kind, model, card, tmp_path))
    np.testing.assert_allclose(runtime(PICTURES[0]), prob, atol=1e-5)
    if card.channels == 3:
        np.testing.assert_allclose(runtime.run(PICTURES[0]), prob, atol=1e-5)  # bytes at the model's size


@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_an_int8_artifact(case, tmp_path, io):
    model, card, prob = case
    graph, card = deploy.to_deploy(model, card)
    graph, card = int8_input.to_byte_input(int8_graph.to_int8_graph(graph), card)
    pictures = CalibrationSet(source=Noise(), indices=range(len(PICTURES)), card=card)
    card = replace(card, quant="int8", io=io)
    path = written(tmp_path / "net.tflite", tflite.convert(graph, "int8", calibration=pictures, io=io), card)
    runtime = open_artifact(path)
    assert runtime.card == Card.load(card_path(path))
    assert np.abs(runtime(PICTURES[0]) - prob).mean() < 0.02
    sample = benchmark._measure_here(path, benchmark.Settings(warmups=0, runs=1), 1)
    assert len(sample.latencies_ms) == 1
