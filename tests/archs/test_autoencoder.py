"""The plain autoencoder: counted by hand, and of four kinds of operation."""

import itertools
from functools import cache

import pytest
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs.summary import macs
from portraitseg.export.tflite import convert
from portraitseg.rewrite.deploy import to_deploy

ENCODER = [3, 32, 64, 128, 256, 512, 256]  # six 3x3 convolutions; the last two at 1/16
DECODER = [256, 128, 64, 32, 16]  # four transposed 2x2 convolutions


@cache
def build(size: int = 32, **settings) -> keras.Model:
    return archs.build(archs.new_card("autoencoder", size=size, **settings))


def test_count_by_hand():
    """No original gives a count: kernels and biases added up."""
    encoder = sum(9 * a * b + b for a, b in itertools.pairwise(ENCODER))
    decoder = sum(4 * a * b + b for a, b in itertools.pairwise(DECODER))
    assert encoder + decoder + (16 + 1) == 2_922_817
    assert build().count_params() == 2_922_817
    assert build(channels=4).count_params() == 2_922_817 + 9 * 32
    assert build(classes=2).count_params() == 2_922_817 + 17


def test_macs_at_256_by_hand():
    sides = [256, 128, 64, 32, 16, 16]
    encoder = sum(side**2 * 9 * a * b for side, (a, b) in zip(sides, itertools.pairwise(ENCODER), strict=True))
    decoder = sum(side**2 * 4 * a * b for side, (a, b) in zip((16, 32, 64, 128), itertools.pairwise(DECODER), strict=True))
    assert macs(build(256)) == encoder + decoder + 256**2 * 16


def test_it_is_a_chain():
    """No layer has two inputs, none feeds two others: there are no skips."""
    model = build()
    inputs = [layer.input for layer in model.layers[1:]]
    assert not [tensor for tensor in inputs if isinstance(tensor, list)]
    assert [layer.output.name for layer in model.layers[:-1]] == [tensor.name for tensor in inputs]
    kinds = [type(layer) for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    block = [layers.Conv2D, layers.ReLU]
    pooled, doubled = [*block, layers.MaxPooling2D], [layers.Conv2DTranspose, layers.ReLU]
    assert kinds == 4 * pooled + 2 * block + 4 * doubled + [layers.Conv2D, layers.Activation]


def test_shipped_file_has_the_restricted_operations_alone():
    """A file as built asks for these and the sigmoid; no shape arithmetic, padding or additions come with them."""
    card = archs.new_card("autoencoder", size=32)
    deployed, _ = to_deploy(archs.build(card), card, rewrite=False)
    content = convert(deployed, "fp32")
    plain = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    ops = {op["op_name"] for op in plain._get_ops_details()}
    assert ops - {"RELU"} == {"CONV_2D", "MAX_POOL_2D", "TRANSPOSE_CONV", "LOGISTIC"}  # ReLUs may be fused


@pytest.mark.parametrize("wm", [0.5, 2.0])
def test_wm_scales_every_width(wm):
    model = build(wm=wm)
    convolutions = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose))]
    assert [layer.filters for layer in convolutions] == [*(wm * width for width in (*ENCODER[1:], *DECODER[1:])), 1]
