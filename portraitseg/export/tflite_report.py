"""What is in a .tflite file and what XNNPACK takes of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portraitseg.errors import InputError
from portraitseg.quiet import quiet

DELEGATE = "DELEGATE"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """An input or output of the graph."""

    dtype: str
    scale: float
    zero_point: int
    """value = scale * (stored - zero_point); scale 0: not quantized."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One .tflite file, looked at. None where this LiteRT does not tell."""

    size: int
    """Of the file, in bytes."""
    input: Tensor
    output: Tensor
    float_tensors: tuple[str, ...]
    """Names of the float tensors, the graph's inputs and outputs not among them."""
    ops: Mapping[str, int] | None
    """Op -> how often."""
    partitions: int | None
    """Connected parts that XNNPACK runs as one."""
    outside: Mapping[str, int] | None
    """Op -> how often the built-in kernels, and not XNNPACK, run it."""

    def lines(self) -> list[str]:
        """The report for a person."""
        unknown = "unknown (this LiteRT does not list its nodes)"
        ops = unknown if self.ops is None else _histogram(self.ops)
        partitions = unknown if self.partitions is None else str(self.partitions)
        rest = f"; outside them: {_histogram(self.outside)}" if self.outside else ""
        return [
            f"size                 {self.size / 1024:,.0f} KB",
            f"input                {_tensor(self.input)}",
            f"output               {_tensor(self.output)}",
            f"ops                  {ops}",
            f"XNNPACK partitions   {partitions}{rest}",
            f"float tensors        {len(self.float_tensors)}",
        ]


def inspect(content: bytes) -> Report:
    """Look at a .tflite file; of several inputs or outputs the first is described."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with quiet():
        plain = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        tensors = plain.get_tensor_details()  # before allocation, which adds the kernels' scratch tensors
        delegated = Interpreter(model_content=content)
        try:
            delegated.allocate_tensors()
        except RuntimeError:  # XNNPACK refuses the graph: the built-in kernels run it all
            delegated = plain
    inputs, outputs = plain.get_input_details(), plain.get_output_details()
    ends = {end["index"] for end in (*inputs, *outputs)}
    floats = [tensor["name"] for tensor in tensors if tensor["index"] not in ends and np.issubdtype(tensor["dtype"], np.floating)]
    ops, nodes = _nodes(plain), _nodes(delegated)
    return Report(
        size=len(content),
        input=_end(inputs[0]),
        output=_end(outputs[0]),
        float_tensors=tuple(name.split(";")[0] for name in floats),  # a fused tensor has the names of all its parts
        ops=None if ops is None else Counter(node["op_name"] for node in ops),
        partitions=None if nodes is None else sum(node["op_name"] == DELEGATE for node in nodes),
        outside=None if nodes is None else outside_ops(nodes),
    )


@dataclass(frozen=True)
class Delegated:
    """What XNNPACK leaves of a graph."""

    parts: int
    """Connected parts that it runs as one each."""
    outside: frozenset[int]
    """Numbers, in the file's order, of the ops that it leaves to the built-in kernels."""


def delegated(content: bytes) -> Delegated | None:
    """Ask this machine's interpreter what XNNPACK takes of a file without custom ops; None where this LiteRT does not tell.

    Raises:
        InputError: LiteRT cannot open the file.
    """
    nodes = _nodes(_open(content))
    if nodes is None:
        return None
    outside = frozenset(int(node["index"]) for node in outside_nodes(nodes))
    return Delegated(sum(node["op_name"] == DELEGATE for node in nodes), outside)


def _open(content: bytes) -> Any:
    """An interpreter with its tensors allocated: with XNNPACK or, where that refuses the graph, with the built-in kernels alone."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    refusal = ""
    for options in ({}, {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}):
        try:
            with quiet():
                interpreter = Interpreter(model_content=content, **options)
                interpreter.allocate_tensors()
            return interpreter
        except (RuntimeError, ValueError) as error:
            refusal = " ".join(str(error).split())
    raise InputError(f"LiteRT cannot open the file: {refusal}; copy it again or export again")


def outside_ops(nodes: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Count the ops that no delegate took; see `outside_nodes`."""
    return Counter(node["op_name"] for node in outside_nodes(nodes))


def outside_nodes(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The ops that no delegate took.

    LiteRT lists a delegate's node beside the nodes that it replaces, without saying which. But a tensor that a delegate gives was
    made inside it, one that it takes was made outside, and one that no delegate names lies on the same side as its consumers; with
    none, it is the graph's output, outside.

    Args:
        nodes: the ops in execution order, each with "op_name", "inputs" and "outputs" (tensor indices), then the delegates.
    """
    delegates = [node for node in nodes if node["op_name"] == DELEGATE]
    ops = [node for node in nodes if node["op_name"] != DELEGATE]
    gives = {int(index) for node in delegates for index in node["outputs"]}
    takes = {int(index) for node in delegates for index in node["inputs"]}
    taken_consumer: dict[int, bool] = {}
    outside = []
    for node in reversed(ops):
        made = {int(index) for index in node["outputs"]}
        taken = bool(made & gives) or (not made & takes and any(taken_consumer.get(index, False) for index in made))
        taken_consumer.update((int(index), taken) for index in node["inputs"])
        if not taken:
            outside.append(node)
    return outside[::-1]


def _nodes(interpreter: Any) -> list[dict[str, Any]] | None:
    """The nodes of the graph, or None: LiteRT offers no public way to them."""
    try:
        return list(interpreter._get_ops_details())
    except (AttributeError, TypeError):
        return None


def _end(details: Mapping[str, Any]) -> Tensor:
    scale, zero_point = details["quantization"]
    return Tensor(dtype=np.dtype(details["dtype"]).name, scale=float(scale), zero_point=int(zero_point))


def _histogram(ops: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(ops.items(), key=lambda item: (-item[1], item[0])))


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.dtype}, scale {tensor.scale:.6g}, zero point {tensor.zero_point}" if tensor.scale else tensor.dtype
