"""The same function by fewer or smaller operations, whatever the precision."""

import numpy as np
import tf_keras as keras

from portraitseg.export.graph import Graph, Step, copy_layer
from portraitseg.export.subpixel import spread
from portraitseg.resizing import AlignCorners


def simplify(model: keras.Model, *, shrink_resizes: bool = True) -> keras.Model:
    """The net with each transposed 1x1 convolution as a plain one, and 1x1 convolutions that narrow before the resizes in front of them.

    Args:
        model: functional, batch normalisation folded.
        shrink_resizes: do the latter.

    Returns:
        A net that computes the same, to about 1e-6.
    """
    graph = Graph(model)
    for step in graph.find(keras.layers.Conv2DTranspose, _is_pointwise):
        _untranspose(graph, step)
    spread(graph)
    while shrink_resizes and any(_narrow_first(graph, step) for step in graph.find(keras.layers.Conv2D, _is_pointwise)):
        pass
    return graph.build()


def is_bilinear(layer: keras.layers.Layer) -> bool:
    """Whether the layer is a resize whose weights add up to 1 everywhere, so that it commutes with a 1x1 convolution."""
    return isinstance(layer, AlignCorners) or (isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "bilinear")


def _is_pointwise(step: Step) -> bool:
    layer = step.layer
    plain = layer.groups == 1 and layer.activation is keras.activations.linear
    return plain and layer.kernel_size == (1, 1) and layer.strides == (1, 1)


def _untranspose(graph: Graph, step: Step) -> None:
    config = step.layer.get_config()
    layer = keras.layers.Conv2D(config["filters"], 1, use_bias=config["use_bias"], name=step.layer.name)
    kernel, *bias = step.weights
    graph.replace(step, Step(layer, step.inputs, [np.swapaxes(kernel, 2, 3), *bias], name=step.name))


def _narrow_first(graph: Graph, conv: Step) -> bool:
    """Swap a 1x1 convolution to fewer channels with the bilinear resize in front of it: the latter's work shrinks alike."""
    resize = graph.steps[conv.inputs[0]]
    if not is_bilinear(resize.layer) or not graph.only_for(resize.name, conv) or not graph.alone(resize, conv):
        return False
    kernel = conv.weights[0]
    if kernel.shape[3] >= kernel.shape[2]:
        return False
    graph.replace(resize)
    layer, _ = copy_layer(resize.layer)
    narrowed = Step(conv.layer, conv.inputs, conv.weights, name=conv.name)
    graph.replace(conv, narrowed, Step(layer, [conv.name], name=resize.name))
    return True
