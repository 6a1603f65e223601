"""Named texts inside an .onnx file: `metadata_props` of the message ModelProto.

The format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ModelProto.metadata_props = 14, StringStringEntryProto key = 1 and
value = 2) and https://protobuf.dev/programming-guides/encoding. Read and written here, since the package onnx is not needed to run a net.
"""

from collections.abc import Iterator

PROPS, KEY, VALUE = 14, 1, 2
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
"""Kinds of fields, by how they are written."""


def read(content: bytes, name: str, *, most: int = 2**24) -> bytes | None:
    """A text's first `most` bytes; None where there is none of this name, or where the file cannot be read. The last one counts."""
    found = None
    try:
        for field, entry in _blocks(content):
            if field == PROPS:
                texts = dict(_blocks(entry))
                found = texts.get(VALUE, b"")[:most] if texts.get(KEY) == name.encode() else found
    except (IndexError, ValueError):
        return None
    return found


def add(content: bytes, name: str, text: bytes) -> bytes:
    """The file with a text added: what is appended to a message counts as part of it, and the last of one name counts."""
    return content + _block(PROPS, _block(KEY, name.encode()) + _block(VALUE, text))


def _blocks(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field that holds bytes; raises an IndexError or a ValueError where the message is broken."""
    at = 0
    while at < len(content):
        tag, at = _number(content, at)
        field, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = _number(content, at)
        elif kind in (EIGHT, FOUR):
            at += 8 if kind == EIGHT else 4
        elif kind == BYTES:
            size, at = _number(content, at)
            if field in (PROPS, KEY, VALUE):
                yield field, content[at : at + size]
            at += size
        else:
            raise ValueError(f"a field of kind {kind}")


def _number(content: bytes, at: int) -> tuple[int, int]:
    """A number, seven bits a byte, and where it ends."""
    value = shift = 0
    while content[at] & 0x80:
        value |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
    return value | content[at] << shift, at + 1


def _block(field: int, content: bytes) -> bytes:
    return _encoded(field << 3 | BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _encoded(rest) if rest else bytes([low])
