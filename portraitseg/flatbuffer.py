"""Tables of a flatbuffer read and written by their fields' numbers; https://flatbuffers.dev/internals has the format."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

ALIGNMENT = 16
"""Of data in a file, in bytes: TensorFlow Lite's schema demands it of weights and of metadata."""

MOST = 2**16
"""Tables in a vector; a hostile file may claim any number."""
MALFORMED = (IndexError, OverflowError, TypeError, ValueError, struct.error)
"""What reading a flatbuffer raises whose offsets lead nowhere."""


def root(content: bytes) -> Any:
    """The root table of a flatbuffer; reading one whose offsets lead nowhere raises one of `MALFORMED`."""
    from flatbuffers.table import Table

    return Table(content, struct.unpack_from("<I", content)[0])


def child(parent: Any, field: int) -> Any:
    """The table that a field refers to, None where it is not there."""
    slot = _slot(parent, field)
    return type(parent)(parent.Bytes, parent.Indirect(parent.Pos + slot)) if slot else None


def children(parent: Any, field: int) -> list[Any]:
    """The tables of a vector of tables."""
    slot = _slot(parent, field)
    if not slot:
        return []
    count, start = parent.VectorLen(slot), parent.Vector(slot)
    if count > MOST:
        raise ValueError(f"a vector of {count} tables, {MOST} at the most")
    return [type(parent)(parent.Bytes, parent.Indirect(start + 4 * index)) for index in range(count)]


def raw(parent: Any, field: int, *, most: int) -> bytes:
    """The bytes of a string or of a vector of bytes, `most` of them; none where it is not there."""
    slot = _slot(parent, field)
    start = parent.Vector(slot) if slot else 0
    return bytes(parent.Bytes[start : start + min(most, parent.VectorLen(slot))]) if slot else b""


def number(parent: Any, field: int, kind: str) -> int:
    """A number, 0 where it is not there; `kind` as in `struct`."""
    slot = _slot(parent, field)
    return int(struct.unpack_from(f"<{kind}", parent.Bytes, parent.Pos + slot)[0]) if slot else 0


def new_builder(tail: bytes = b"") -> Any:
    """A builder whose buffer ends in `tail`, a whole number of `ALIGNMENT`; offsets are counted from the end."""
    import flatbuffers

    builder = flatbuffers.Builder(len(tail) + 4096)
    builder.minalign = ALIGNMENT
    _put(builder, tail)
    return builder


def table(
    builder: Any,
    *,
    references: Mapping[int, int] | None = None,
    bytes_: Mapping[int, int] | None = None,
    uints: Mapping[int, int] | None = None,
) -> int:
    """A table.

    Args:
        builder: writes it.
        references: field's number -> offset of what it refers to, 0 for none.
        bytes_: field's number -> enum of one byte.
        uints: field's number -> 32-bit number.

    Returns:
        Its offset.
    """
    kinds = ((builder.PrependUOffsetTRelativeSlot, references), (builder.PrependUint32Slot, uints), (builder.PrependUint8Slot, bytes_))
    builder.StartObject(1 + max((field for _, fields in kinds for field in fields or ()), default=-1))
    for prepend, fields in kinds:
        for field, value in (fields or {}).items():
            prepend(field, value, 0)
    return int(builder.EndObject())


def vector(builder: Any, offsets: Sequence[int]) -> int:
    """A vector of references."""
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def floats(builder: Any, values: Sequence[float]) -> int:
    """A vector of 32-bit floats."""
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())


def data(builder: Any, content: bytes) -> int:
    """A vector of bytes, aligned."""
    builder.StartVector(1, len(content), ALIGNMENT)
    _put(builder, content)
    return int(builder.EndVector())


def finish(builder: Any, root: int, identifier: bytes) -> bytes:
    """The whole buffer; `identifier` becomes its bytes 4 to 8."""
    builder.Finish(root, identifier)
    return bytes(builder.Output())


def _slot(parent: Any, field: int) -> int:
    """Where a field stands in its table, 0 where it does not."""
    return int(parent.Offset(4 + 2 * field))


def _put(builder: Any, content: bytes) -> None:
    """Copy bytes in front of what is there; there is room for them."""
    builder.head -= len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
