"""Deploy graph -> OpenVINO's IR: an .xml, and its weights in the .bin beside it."""

import tempfile
from pathlib import Path

import tf_keras as keras

from portraitseg.export import frozen
from portraitseg.export.function import IMAGE, PROB
from portraitseg.optional import require
from portraitseg.quiet import quiet


def write(model: keras.Model, path: Path, *, half: bool) -> None:
    """Write a deploy graph, (1,H,W,C) -> prob, as an .xml with its .bin.

    It goes by way of a frozen graph and `read_model`: OpenVINO's `convert_model` reports its use over the network.

    Args:
        model: as `deploy.to_deploy` gives it.
        path: of the .xml.
        half: weights in half precision.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    openvino = require("openvino", extra="openvino")
    with tempfile.TemporaryDirectory() as folder, quiet():
        graph = Path(folder) / "graph.pb"
        frozen.write(model, graph)
        net = openvino.Core().read_model(graph)
        net.input().get_tensor().set_names({IMAGE})
        net.output().get_tensor().set_names({PROB})
        openvino.save_model(net, path, compress_to_fp16=half)
