"""Named blocks of bytes inside a .tflite file: the `metadata` of TensorFlow Lite's schema.

The format: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs (tables Model, Metadata,
Buffer) and https://flatbuffers.dev/internals. Runtimes pass over names that they do not know.
"""

import struct
from collections.abc import Mapping
from typing import Any

from portraitseg import flatbuffer
from portraitseg.errors import InputError

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every .tflite file (the flatbuffer's identifier)."""
FIELDS = 8
"""Of the table Model: version, operator codes, subgraphs, description, buffers, metadata buffer, metadata, signatures."""
VERSION, BUFFERS, METADATA = 0, 4, 6
MALFORMED = (IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError, struct.error)
"""What reading a flatbuffer raises whose offsets lead nowhere."""


def read(content: bytes) -> dict[str, bytes]:
    """All blocks by name; empty where there are none, or where the file is none that can be read."""
    from ai_edge_litert.schema_py_generated import Model

    if content[4:8] != IDENTIFIER:
        return {}
    try:
        model = Model.GetRootAs(content, 0)
        entries = [model.Metadata(index) for index in range(min(model.MetadataLength(), len(content)))]
        return {entry.Name().decode(): _data(model.Buffers(entry.Buffer()), content) for entry in entries}
    except (AttributeError, *MALFORMED):
        return {}


def add(content: bytes, blocks: Mapping[str, bytes]) -> bytes:
    """The file with `blocks` added, or put in the place of those of the same name.

    A flatbuffer's references lead forwards only, so a new root goes in front and refers to the old parts, of which not one byte
    changes: weights stay aligned, and what ran before runs now.

    Raises:
        InputError: no .tflite, one with weights outside its flatbuffer, or one with fields of a later schema.
    """
    if content[4:8] != IDENTIFIER:
        raise InputError(f'this is not a .tflite file: bytes 4 to 8 must be "TFL3", got {content[4:8]!r}; export it again')
    try:
        return _prepend(content, blocks)
    except MALFORMED as error:
        raise InputError(f"this .tflite file is broken ({error}); export it again") from error


def _prepend(content: bytes, blocks: Mapping[str, bytes]) -> bytes:
    from ai_edge_litert.schema_py_generated import Model

    content += bytes(-len(content) % flatbuffer.ALIGNMENT)
    model = Model.GetRootAs(content, 0)
    _check(model)
    builder = flatbuffer.new_builder(content)
    kept = [entry for entry in map(model.Metadata, range(model.MetadataLength())) if entry.Name().decode() not in blocks]
    entries = [len(content) - entry._tab.Pos for entry in kept]
    buffers = [len(content) - model.Buffers(index)._tab.Pos for index in range(model.BuffersLength())]
    for name, block in blocks.items():
        entries.append(flatbuffer.table(builder, references={0: builder.CreateString(name)}, uints={1: len(buffers)}))
        buffers.append(flatbuffer.table(builder, references={0: flatbuffer.data(builder, block)}))
    fields = {field: _place(model, field, len(content)) for field in range(VERSION + 1, FIELDS)}
    fields |= {BUFFERS: flatbuffer.vector(builder, buffers), METADATA: flatbuffer.vector(builder, entries)}
    root = flatbuffer.table(builder, references=fields, uints={VERSION: model.Version()})
    return flatbuffer.finish(builder, root, IDENTIFIER)


def _check(model: Any) -> None:
    """Raises InputError where what is to be copied by reference cannot be."""
    if any(model.Buffers(index).Offset() > 1 for index in range(model.BuffersLength())):
        raise InputError("this .tflite file keeps weights outside its flatbuffer, which must not move; inline them first")
    if model._tab.Offset(4 + 2 * FIELDS):
        raise InputError(f"this .tflite file has more than the {FIELDS} fields of schema version 3; export it with TensorFlow 2")


def _place(model: Any, field: int, size: int) -> int:
    """Where a field of the old root stands, counted from the end; 0: it is not there."""
    slot = model._tab.Offset(4 + 2 * field)
    return size - model._tab.Indirect(model._tab.Pos + slot) if slot else 0


def _data(buffer: Any, content: bytes) -> bytes:
    slot = buffer._tab.Offset(4)
    start = buffer._tab.Vector(slot) if slot else 0
    return content[start : start + buffer._tab.VectorLen(slot)] if slot else b""
