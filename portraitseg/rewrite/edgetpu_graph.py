"""The deploy graph in operations that the Edge TPU has, as far as they compute the same.

What it has: `export/delegates/edgetpu.py`. For nets that were not rewritten for CPUs (`deploy.to_deploy(..., rewrite=False)`).

| not taken | in its place |
|---|---|
| SOFTMAX of two classes and many pixels | sigmoid of the difference of the logits, for each class |
| bilinear resize to 512 px and more | rim repeated, transposed convolution, cut; for up to 16 channels, since it costs their square |
| hard-swish, squeeze-and-excite's hard sigmoid | nothing: refused with the layer's name |
"""

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg.errors import InputError
from portraitseg.layers import HardSigmoid, HardSwish
from portraitseg.resizing import BilinearTranspose
from portraitseg.rewrite.graph import Graph, Step
from portraitseg.rewrite.thin_resize import EdgePad

LARGE = 512
"""A resize to so many pixels a side was not mapped (google-coral/edgetpu#31)."""
MOST_CHANNELS = 16


def to_edgetpu_graph(model: keras.Model) -> keras.Model:
    """Rewrite a deploy graph.

    Args:
        model: (1,H,W,C) -> prob, as `deploy.to_deploy` gives it without rewriting.

    Returns:
        A net that computes the same, to about 1e-6.

    Raises:
        InputError: a layer has no place on the Edge TPU; with its name and the remedy.
    """
    graph = Graph(model)
    _refuse_hard(graph)
    _rewrite_softmax(graph)
    _rewrite_large_resizes(graph)
    return graph.build()


def _refuse_hard(graph: Graph) -> None:
    found = [step.name for step in graph.find((HardSwish, HardSigmoid))]
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise InputError(
            f"the Edge TPU has no hard-swish and no squeeze-and-excite, which layer {found[0]}{more} of {graph.name} is; train a net of "
            "ReLU6 (--arch munet_mnv2, or --encoder mobilenet_v3_small, not _full), or export with --target cpu"
        )


def _rewrite_softmax(graph: Graph) -> None:
    """Two classes: exp(a) / (exp(a) + exp(b)) is the sigmoid of a - b."""
    step = graph.steps[graph.output]
    if not isinstance(step.layer, layers.Activation) or step.layer.activation is not keras.activations.softmax:
        return
    difference = np.array([[1, -1], [-1, 1]], np.float32)[None, None]
    conv = Step(layers.Conv2D(2, 1, use_bias=False, name=f"{step.name}_difference"), list(step.inputs), [difference])
    graph.replace(step, conv, Step(layers.Activation("sigmoid", name=step.name), [conv.name]))


def _rewrite_large_resizes(graph: Graph) -> None:
    for step in graph.find(layers.UpSampling2D, lambda step: _is_large(graph, step)):
        factor = step.layer.size[0]
        pad = Step(EdgePad(name=f"{step.name}_pad"), list(step.inputs))
        wide = Step(BilinearTranspose(factor, name=f"{step.name}_wide"), [pad.name])
        graph.replace(step, pad, wide, Step(layers.Cropping2D(factor, name=step.name), [wide.name]))


def _is_large(graph: Graph, step: Step) -> bool:
    rows, columns = step.layer.size
    _, height, width, channels = graph.shapes[step.name]
    even = rows == columns and rows % 2 == 0
    return step.layer.interpolation == "bilinear" and even and max(height, width) >= LARGE and channels <= MOST_CHANNELS
