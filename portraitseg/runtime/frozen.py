"""Frozen TensorFlow graphs (.pb): a GraphDef whose variables are constants."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from portraitseg.errors import InputError, one_line
from portraitseg.image import Array
from portraitseg.optional import require
from portraitseg.runtime.graph_ops import refuse_unsafe
from portraitseg.runtime.tensorflow import start
from portraitseg.runtime.tensors import Tensor


class Graph:
    """A TensorFlow function of one input. TensorFlow takes NumPy's memory as it is where it is aligned, and gives its own."""

    def __init__(self, function: Callable[[Array], Sequence[Any]], inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Take a function that gives the list of the outputs."""
        self.inputs, self.outputs = inputs, outputs
        self._function = function

    def __call__(self, x: Array, output: int) -> Array:
        """See `Engine`."""
        return np.asarray(self._function(x)[output])


def open_engine(path: Path, threads: int) -> Graph:
    """Import a GraphDef: its placeholders are the inputs, and what no node takes are the outputs.

    Raises:
        InputError: the file is no GraphDef, TensorFlow cannot run it, or it has operations that reach outside of the graph.
        ImportError: TensorFlow is not installed.
    """
    tf = start(threads)
    graph = parse(tf.compat.v1.GraphDef, path)
    refuse_unsafe(path, graph.node, graph.library)
    takes = {name.lstrip("^").partition(":")[0] for node in graph.node for name in node.input}
    sources = [f"{node.name}:0" for node in graph.node if node.op == "Placeholder"]
    ends = [f"{node.name}:0" for node in graph.node if node.name not in takes and node.op not in ("Placeholder", "NoOp", "Const")]
    if len(sources) != 1 or not ends:
        counts = f"{len(sources)} placeholders and {len(ends)} outputs"
        raise InputError(f"{path} must be a graph from one placeholder to an output, but has {counts}; freeze it again")
    try:
        whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
        inputs, outputs = ([whole.graph.as_graph_element(name) for name in names] for names in (sources, ends))
        pruned = whole.prune(inputs, outputs)
    except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
        raise InputError(f"TensorFlow cannot run {path}: {one_line(error)}; freeze the graph again") from error
    return Graph(
        lambda x: pruned(tf.constant(x)), [tensor(end, end.op.name) for end in inputs], [tensor(end, end.op.name) for end in outputs]
    )


def parse(message: Any, path: Path) -> Any:
    """Read a file as a message of protocol buffers.

    Raises:
        InputError: it is none, or cannot be read.
    """
    try:
        return message.FromString(path.read_bytes())
    except (OSError, require("google.protobuf.message", extra="train").DecodeError) as error:
        name = message.DESCRIPTOR.name
        raise InputError(
            f"{path} is no {name}: missing or broken ({one_line(error)}); copy it again; of a SavedModel give the folder"
        ) from error


def tensor(end: Any, name: str) -> Tensor:
    """An input or output; `end` says shape and data type, as a symbolic tensor or a TensorSpec does."""
    shape = () if end.shape.rank is None else tuple(-1 if side is None else int(side) for side in end.shape)
    return Tensor(name=name, shape=shape, dtype=end.dtype.as_numpy_dtype)
