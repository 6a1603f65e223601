"""The last step of an export for the Edge TPU: what its compiler cannot read is taken out of the file, and the file is judged."""

from typing import Any

from portraitseg.errors import InputError
from portraitseg.export import delegates
from portraitseg.export.delegates.edgetpu import NEWEST_DECONV
from portraitseg.export.delegates.graph import Op, read

RELU, RELU6 = 1, 3
LOWEST, HIGHEST = -128, 127
FUSED = 10
"""Place of fused_activation_function in the vtable of TransposeConvOptions, and"""
VERSION = 8
"""of version in that of OperatorCode; https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/schema/schema.fbs"""


def finish(content: bytes, name: str) -> tuple[bytes, list[str]]:
    """Make an int8 file ready for the Edge TPU's compiler.

    Args:
        content: of the file.
        name: for messages.

    Returns:
        The content, and lines for the user: what is not known of it.

    Raises:
        InputError: something would fall back to the CPU; with the layers and the remedies.
    """
    content = part_activations(content, name)
    report = delegates.examine("edgetpu", read(content, name))
    if report.whole:
        return content, report.lines()
    left = {(found.reason, found.change): op for op in report.ops if (found := report.left.get(op.index))}
    told = "; ".join(f"layer {op.layer} ({op.name}) {reason}: {change}" for (reason, change), op in left.items())
    raise InputError(f"the Edge TPU would leave {len(report.ops) - len(report.taken)} of {len(report.ops)} ops to the CPU: {told}")


def part_activations(content: bytes, name: str) -> bytes:
    """Take ReLUs off transposed convolutions where the limits of the 8-bit numbers cut the same values off anyway.

    The converter's range of what a ReLU gives begins at 0, which is stored as -128: nothing below it can be stored. With the
    activation the op is of version 4, which the compiler does not read (google-coral/edgetpu#845), without it of version 3.

    Args:
        content: of an int8 file.
        name: for messages.

    Returns:
        The content, equal but for the ops' activations and version.
    """
    graph = read(content, name)
    deconvs = [op for op in graph.ops if op.name == "TRANSPOSE_CONV" and op.version > NEWEST_DECONV]
    parted = [op for op in deconvs if _cuts_off(op)]
    if len(parted) < sum(bool(op.option("fusedActivationFunction")) for op in deconvs):
        return content  # the op's version is that of all of them
    return _patched(content, parted)


def _cuts_off(op: Op) -> bool:
    """Whether the 8-bit range of what the op gives ends where its activation does."""
    made, kind = op.outputs[0], op.option("fusedActivationFunction")
    if made.dtype != "int8" or len(made.scales) != 1 or made.zero_points[0] != LOWEST:
        return False
    return bool(kind == RELU or (kind == RELU6 and LOWEST + round(6 / made.scales[0]) >= HIGHEST))


def _patched(content: bytes, ops: list[Op]) -> bytes:
    """The file with those ops' activations and their version overwritten in place."""
    from ai_edge_litert import schema_py_generated as schema

    changed = bytearray(content)
    model = schema.Model.GetRootAs(content, 0)
    for op in ops:
        packed = model.Subgraphs(0).Operators(op.index)
        _set(changed, packed.BuiltinOptions(), FUSED, 0)
        _set(changed, model.OperatorCodes(packed.OpcodeIndex())._tab, VERSION, NEWEST_DECONV)
    return bytes(changed)


def _set(changed: bytearray, table: Any, place: int, value: int) -> None:
    """Overwrite a number below 256 of a table; the higher bytes of what stands there are 0."""
    changed[table.Pos + table.Offset(place)] = value
