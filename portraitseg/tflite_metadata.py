"""Named blocks of bytes inside a .tflite file: the `metadata` of TensorFlow Lite's schema.

The format: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs (tables Model, Metadata,
Buffer) and https://flatbuffers.dev/internals. Runtimes pass over names that they do not know.
"""

from collections.abc import Mapping
from typing import Any

from portraitseg import flatbuffer
from portraitseg.errors import InputError

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every .tflite file (the flatbuffer's identifier)."""
FIELDS = 8
"""Of the table Model: version, operator codes, subgraphs, description, buffers, metadata buffer, metadata, signatures."""
VERSION, BUFFERS, METADATA = 0, 4, 6
NAME, BUFFER = 0, 1
"""Of the table Metadata: what it is called, and the number of the buffer that has it."""
DATA, OFFSET = 0, 1
"""Of the table Buffer: its bytes, or, in files of later converters, where in the file they lie."""


def read(content: bytes, name: str, *, most: int = 2**24) -> bytes | None:
    """A block's first `most` bytes; None where there is none of this name, or where the file cannot be read."""
    if content[4:8] != IDENTIFIER:
        return None
    try:
        model = flatbuffer.root(content)
        for entry in flatbuffer.children(model, METADATA):
            if _name(entry) == name:
                return flatbuffer.raw(flatbuffer.children(model, BUFFERS)[flatbuffer.number(entry, BUFFER, "I")], DATA, most=most)
    except flatbuffer.MALFORMED:
        return None
    return None


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
        return _prepend(content + bytes(-len(content) % flatbuffer.ALIGNMENT), blocks)
    except flatbuffer.MALFORMED as error:
        raise InputError(f"this .tflite file is broken ({error}); export it again") from error


def _prepend(content: bytes, blocks: Mapping[str, bytes]) -> bytes:
    model = flatbuffer.root(content)
    _check(model)
    builder = flatbuffer.new_builder(content)
    entries = [len(content) - entry.Pos for entry in flatbuffer.children(model, METADATA) if _name(entry) not in blocks]
    buffers = [len(content) - buffer.Pos for buffer in flatbuffer.children(model, BUFFERS)]
    for name, block in blocks.items():
        entries.append(flatbuffer.table(builder, references={NAME: builder.CreateString(name)}, uints={BUFFER: len(buffers)}))
        buffers.append(flatbuffer.table(builder, references={DATA: flatbuffer.data(builder, block)}))
    parts = {field: flatbuffer.child(model, field) for field in range(VERSION + 1, FIELDS)}
    references = {field: len(content) - part.Pos for field, part in parts.items() if part}
    references |= {BUFFERS: flatbuffer.vector(builder, buffers), METADATA: flatbuffer.vector(builder, entries)}
    root = flatbuffer.table(builder, references=references, uints={VERSION: flatbuffer.number(model, VERSION, "I")})
    return flatbuffer.finish(builder, root, IDENTIFIER)


def _check(model: Any) -> None:
    """Raises InputError where what is to be copied by reference cannot be."""
    if any(flatbuffer.number(buffer, OFFSET, "Q") > 1 for buffer in flatbuffer.children(model, BUFFERS)):
        raise InputError("this .tflite file keeps weights outside its flatbuffer, which must not move; inline them first")
    if model.Offset(4 + 2 * FIELDS):
        raise InputError(f"this .tflite file has more than the {FIELDS} fields of schema version 3; export it with TensorFlow 2")


def _name(entry: Any) -> str:
    return flatbuffer.raw(entry, NAME, most=256).decode()
