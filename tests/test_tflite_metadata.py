"""Blocks inside a .tflite: read by LiteRT's own schema classes, run by LiteRT; the nets are the bundled ones."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import Model, ModelT

from portraitseg import flatbuffer, tflite_metadata
from portraitseg.errors import InputError

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.tflite"))
BLOCKS = {"first": b"\x00\xff" * 501, "second": b"", "third": "Bäume".encode()}


def outputs(content: bytes) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    x = np.random.default_rng(0).integers(0, 256, source["shape"]).astype(source["dtype"])
    interpreter.set_tensor(source["index"], x)
    interpreter.invoke()
    assert list(interpreter.get_signature_list()) == ["serving_default"]
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def places(content: bytes) -> list[int]:
    """Where the data of each buffer starts in the file."""
    model = Model.GetRootAs(content, 0)
    tables = [model.Buffers(index)._tab for index in range(model.BuffersLength())]
    return [table.Vector(table.Offset(4)) if table.Offset(4) else 0 for table in tables]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_there_and_back_and_the_net_is_what_it_was(path: Path) -> None:
    content = path.read_bytes()
    made = tflite_metadata.add(content, BLOCKS)
    assert {name: tflite_metadata.read(made, name) for name in BLOCKS} == BLOCKS
    assert tflite_metadata.read(made, "fourth") is None
    assert tflite_metadata.read(made, "min_runtime_version") == tflite_metadata.read(content, "min_runtime_version") != b""
    assert made == tflite_metadata.add(content, BLOCKS)
    np.testing.assert_array_equal(outputs(made), outputs(content))
    whole = ModelT.InitFromObj(Model.GetRootAs(made, 0))
    assert [entry.name for entry in whole.metadata[-3:]] == [b"first", b"second", b"third"]
    assert bytes(whole.buffers[whole.metadata[-3].buffer].data) == BLOCKS["first"]
    assert (whole.version, whole.description) == (3, b"MLIR Converted.")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_old_weights_keep_their_alignment_and_new_blocks_have_one(path: Path) -> None:
    content = path.read_bytes()
    old, new = places(content), places(tflite_metadata.add(content, BLOCKS))
    assert [place % 16 for place in new[: len(old)]] == [place % 16 for place in old]
    assert {place % 16 for place in new[len(old) :]} == {0}


def test_a_block_of_the_same_name_is_replaced() -> None:
    once = tflite_metadata.add(MODELS[0].read_bytes(), BLOCKS)
    twice = tflite_metadata.add(once, {"first": b"anew"})
    assert {name: tflite_metadata.read(twice, name) for name in BLOCKS} == {**BLOCKS, "first": b"anew"}
    assert len(ModelT.InitFromObj(Model.GetRootAs(twice, 0)).metadata) == len(ModelT.InitFromObj(Model.GetRootAs(once, 0)).metadata)


def test_what_is_no_tflite_has_no_blocks_and_takes_none() -> None:
    for content in (b"", b"\x00" * 64, b"\xff\xff\xff\x7fTFL3" + b"\xff" * 64):
        assert tflite_metadata.read(content, "first") is None
        with pytest.raises(InputError, match=r"not a \.tflite|broken"):
            tflite_metadata.add(content, BLOCKS)


def test_weights_outside_the_flatbuffer_are_refused() -> None:
    builder = flatbuffer.new_builder()
    builder.StartObject(3)
    builder.PrependUint64Slot(1, 4096, 0)  # Buffer.offset
    buffer = builder.EndObject()
    root = flatbuffer.table(builder, references={4: flatbuffer.vector(builder, [buffer])}, uints={0: 3})
    with pytest.raises(InputError, match="keeps weights outside its flatbuffer"):
        tflite_metadata.add(flatbuffer.finish(builder, root, b"TFL3"), BLOCKS)
