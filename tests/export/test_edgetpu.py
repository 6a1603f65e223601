"""Files for the Edge TPU: bit for bit what they were, in versions that the compiler reads, or refused."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from tf_keras import layers

from portraitseg.errors import InputError
from portraitseg.export import delegates
from portraitseg.export.delegates.graph import read
from portraitseg.export.edgetpu import finish, part_activations
from tests.export.delegates import graphs


def relu6() -> graphs.keras.Model:
    """A ReLU6 whose input goes beyond 6, and two transposed convolutions of one version."""
    up = graphs.deconv(name="up", kernel_initializer=graphs.keras.initializers.RandomUniform(-8, 8, seed=1))
    return graphs.net(graphs.conv(), up, layers.ReLU(6.0, name="up_relu"), graphs.deconv(name="last"))


def _run(content: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@pytest.mark.parametrize("make", [graphs.fused, relu6])
def test_activations_are_parted_from_transposed_convolutions_bit_for_bit(make: object) -> None:
    before = graphs.graph(make)
    content, lines = finish(before.content, "some.tflite")
    after = read(content, "some.tflite")
    versions = [{op.version for op in graph.ops if op.name == "TRANSPOSE_CONV"} for graph in (before, after)]
    assert versions == [{4}, {3}]
    assert not any(op.option("fusedActivationFunction") for op in after.ops if op.name == "TRANSPOSE_CONV")
    assert len(content) == len(before.content)
    assert sum(a != b for a, b in zip(content, before.content, strict=True)) == 2  # the activation, the version
    x = np.random.default_rng(3).integers(0, 256, (1, 16, 16, 4)).astype(np.uint8)
    found = _run(content, x)
    assert found.std() > 5
    np.testing.assert_array_equal(found, _run(before.content, x))
    assert delegates.examine("edgetpu", after).whole
    assert [delegates.examine("nnapi", graph).whole for graph in (before, after)] == [False, True]
    assert lines[0].startswith("Edge TPU")


def test_an_activation_that_the_numbers_do_not_cut_off_stays() -> None:
    graph = graphs.graph(graphs.fused)
    op = next(op for op in graph.ops if op.name == "TRANSPOSE_CONV")
    content = _with_zero_point(graph.content, op.outputs[0].index, -120)
    assert part_activations(content, "some.tflite") == content
    with pytest.raises(InputError, match="version 4"):
        finish(content, "some.tflite")


def _with_zero_point(content: bytes, tensor: int, value: int) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    changed = bytearray(content)
    table = schema.Model.GetRootAs(content, 0).Subgraphs(0).Tensors(tensor).Quantization()._tab
    start = table.Vector(table.Offset(10))
    assert int.from_bytes(content[start : start + 8], "little", signed=True) == -128
    changed[start : start + 8] = value.to_bytes(8, "little", signed=True)
    return bytes(changed)


def test_what_would_fall_back_is_refused_with_layer_and_remedy() -> None:
    with pytest.raises(InputError, match=r"4 of 6 ops to the CPU: layer leaky \(LEAKY_RELU\) not among its operations: ReLU, or PReLU"):
        finish(graphs.graph(graphs.leaky).content, "some.tflite")


def test_float_files_are_refused() -> None:
    with pytest.raises(InputError, match="--quant int8"):
        finish(graphs.graph(graphs.fused, int8=False).content, "some.tflite")
