"""Tables of a flatbuffer written one by one, for the few that we write; https://flatbuffers.dev/internals has the format."""

from collections.abc import Mapping, Sequence
from typing import Any

ALIGNMENT = 16
"""Of data in a file, in bytes: TensorFlow Lite's schema demands it of weights and of metadata."""


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


def _put(builder: Any, content: bytes) -> None:
    """Copy bytes in front of what is there; there is room for them."""
    builder.head -= len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
