"""Texts inside an .onnx file, as the packages onnx and onnxruntime see them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from portraitseg import onnx_metadata


@pytest.fixture(scope="module")
def content() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="test")
    helper.set_model_props(model, {"theirs": "kept"})
    return model.SerializeToString()


def test_what_is_written_is_read_by_both_packages_and_by_us(content: bytes) -> None:
    text = ("Bäume" * 60).encode()
    made = onnx_metadata.add(content, "ours", text)
    onnx.checker.check_model(made, full_check=True)
    assert {entry.key: entry.value for entry in onnx.load_from_string(made).metadata_props} == {"theirs": "kept", "ours": text.decode()}
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"theirs": "kept", "ours": text.decode()}
    np.testing.assert_array_equal(session.run(None, {"x": np.float32([1, 2, 3])})[0], [-1, -2, -3])
    assert onnx_metadata.read(made, "ours") == text
    assert onnx_metadata.read(made, "theirs") == b"kept"
    assert onnx_metadata.read(made, "ours", most=4) == text[:4]


def test_the_last_of_one_name_counts(content: bytes) -> None:
    made = onnx_metadata.add(onnx_metadata.add(content, "ours", b"old"), "ours", b"new")
    assert onnx_metadata.read(made, "ours") == b"new"


def test_what_is_no_message_has_none(content: bytes) -> None:
    assert onnx_metadata.read(content, "ours") is None
    assert onnx_metadata.read(b"", "ours") is None
    for seed in range(200):
        onnx_metadata.read(np.random.default_rng(seed).bytes(300), "ours")
    assert onnx_metadata.read(b"\x72" + b"\xff" * 30, "ours") is None
