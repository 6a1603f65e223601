"""Deploy graph -> a frozen TensorFlow graph (.pb): a GraphDef from the placeholder `image` to the node `prob`, weights as constants."""

from pathlib import Path
from typing import Any

import tf_keras as keras

from portraitseg.export.function import PROB, function
from portraitseg.optional import require
from portraitseg.quiet import quiet


def write(model: keras.Model, path: Path) -> None:
    """Write a deploy graph, (1,H,W,C) -> prob, as a .pb file."""
    path.write_bytes(graph_def(model).SerializeToString())


def graph_def(model: keras.Model) -> Any:
    """The frozen graph, a GraphDef."""
    freeze = require("tensorflow.python.framework.convert_to_constants", extra="train").convert_variables_to_constants_v2
    cut = require("tensorflow", extra="train").compat.v1.graph_util.extract_sub_graph
    with quiet():
        frozen = freeze(function(model).get_concrete_function()).graph.as_graph_def()
        return cut(frozen, [PROB])  # without the nodes that stand for a function's ends
