"""SavedModels: folders with saved_model.pb, of which the default signature is run."""

from pathlib import Path
from typing import Any

from portraitseg.errors import InputError, one_line
from portraitseg.image import Array
from portraitseg.optional import require
from portraitseg.runtime.frozen import Graph, parse, tensor
from portraitseg.runtime.graph_ops import refuse_unsafe
from portraitseg.runtime.tensorflow import start

SIGNATURE = "serving_default"
PASSIVE = {"user_object", "function", "bare_concrete_function", "variable", "constant", "captured_tensor"}
"""Kinds of objects that loading makes without running anything of the file; tables and assets run their initializers."""


def open_engine(path: Path, threads: int) -> Graph:
    """Load a SavedModel of TensorFlow 2.

    Raises:
        InputError: the folder is no SavedModel, has no default signature of one input, TensorFlow cannot load it, or it has operations
            or objects that reach outside of the graph.
        ImportError: TensorFlow is not installed.
    """
    tf = start(threads)
    _check(path)
    try:
        signature = tf.saved_model.load(str(path)).signatures.get(SIGNATURE)
    except Exception as error:  # what its many loaders raise has no common kind
        raise InputError(f"TensorFlow cannot load {path}: {one_line(error)}; copy the whole folder again, or export it again") from error
    inputs: dict[str, Any] = {} if signature is None else signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise InputError(f"{path} must have a signature {SIGNATURE!r} of one input, but has {len(inputs)} inputs; save it with such a one")
    ((name, spec),) = inputs.items()

    def run(x: Array) -> list[Any]:
        return list(signature(**{name: tf.constant(x)}).values())

    return Graph(run, [tensor(spec, name)], [tensor(end, key) for key, end in signature.structured_outputs.items()])


def _check(path: Path) -> None:
    """Let through what runs nothing while it is loaded, and whose signatures only compute."""
    saved = parse(require("tensorflow.core.protobuf.saved_model_pb2", extra="train").SavedModel, path / "saved_model.pb")
    if not saved.meta_graphs:
        raise InputError(f"{path} is no SavedModel: its saved_model.pb holds no graph; copy the folder again")
    graph = saved.meta_graphs[0]
    objects = graph.object_graph_def.nodes
    kinds = {str(node.WhichOneof("kind")) for node in objects}
    active = sorted(kinds - PASSIVE) or ["saver"] * any(map(_has_saver, objects))
    if active or not objects:
        found = f"objects of the kind {', '.join(active)}" if objects else "a SavedModel of TensorFlow 1"
        raise InputError(f"{path} is not run: loading {found} would run code of the file; save the net alone, with TensorFlow 2")
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    signatures = [node.bare_concrete_function.concrete_function_name for node in objects if node.HasField("bare_concrete_function")]
    for name in signatures:
        refuse_unsafe(path, functions.get(name, []), graph.graph_def.library)


def _has_saver(node: Any) -> bool:
    """Whether restoring the object runs a function of the file."""
    return bool(node.registered_saver or any(saver.restore_function for saver in node.saveable_objects.values()))
