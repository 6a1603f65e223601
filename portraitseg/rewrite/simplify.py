"""The same function by fewer, smaller or faster operations, whatever the precision."""

import numpy as np
import tf_keras as keras
from tf_keras import layers

from portraitseg.resizing import AlignCorners
from portraitseg.rewrite.graph import Array, Graph, Step, copy_layer
from portraitseg.rewrite.subpixel import spread
from portraitseg.rewrite.thin_resize import rewrite_thin_resizes


def simplify(graph: Graph) -> None:
    """Rewrite a net whose batch normalisation is folded, so that it computes the same, to about 1e-6.

    The softmax of two classes becomes two sigmoids; a transposed 1x1 convolution a plain one; a 1x1 convolution that does not widen
    comes before the resizes in front of it; the mean of a sum becomes the sum of the means; a dense convolution takes the shortcut
    around it in. For the resizes that are left see `thin_resize`, for other transposed convolutions `subpixel`.
    """
    drop_identities(graph)
    rewrite_softmax(graph)
    for step in graph.find(layers.Conv2DTranspose, _is_pointwise):
        _untranspose(graph, step)
    while any(_convolve_first(graph, step) for step in graph.find(layers.Conv2D, _is_pointwise)):
        pass
    for step in graph.find(layers.GlobalAveragePooling2D, lambda step: step.layer.keepdims):
        _sum_means(graph, step)
    for step in graph.find(layers.Add):
        _take_shortcut_in(graph, step)
    rewrite_thin_resizes(graph)
    spread(graph)


def drop_identities(graph: Graph) -> None:
    """Leave out activations that do nothing, which would hide who follows whom."""
    for step in graph.find(layers.Activation, lambda step: step.layer.activation is keras.activations.linear):
        graph.replace(step)


def rewrite_softmax(graph: Graph) -> None:
    """The softmax of two classes as sigmoid(a - b), sigmoid(b - a)."""
    for step in graph.find((layers.Activation, layers.Softmax), lambda step: _is_softmax(graph, step)):
        last = _last_convolution(graph, step)
        if last is None:
            mix = layers.Conv2D(2, 1, use_bias=False, name=f"{step.name}_difference")
            added = [Step(mix, step.inputs, [np.asarray([[[[1, -1], [-1, 1]]]], np.float32)])]
        else:
            axis = 2 if isinstance(last.layer, layers.Conv2DTranspose) else 3
            kernel, *bias = last.weights
            last.weights = [_differences(kernel, axis), *(_differences(vector, 0) for vector in bias)]
            added = []
        source = added[-1].name if added else step.inputs[0]
        graph.replace(step, *added, Step(layers.Activation("sigmoid", name=step.name), [source]))


def is_bilinear(layer: layers.Layer) -> bool:
    """Whether the layer is a resize whose weights add up to 1 everywhere, so that it commutes with a 1x1 convolution."""
    return isinstance(layer, AlignCorners) or (isinstance(layer, layers.UpSampling2D) and layer.interpolation == "bilinear")


def _is_pointwise(step: Step) -> bool:
    layer = step.layer
    plain = layer.groups == 1 and layer.activation is keras.activations.linear
    return plain and layer.kernel_size == (1, 1) and layer.strides == (1, 1)


def _untranspose(graph: Graph, step: Step) -> None:
    config = step.layer.get_config()
    layer = layers.Conv2D(config["filters"], 1, use_bias=config["use_bias"], name=step.layer.name)
    kernel, *bias = step.weights
    graph.replace(step, Step(layer, step.inputs, [np.swapaxes(kernel, 2, 3), *bias], name=step.name))


def _convolve_first(graph: Graph, conv: Step) -> bool:
    """Swap a 1x1 convolution with the bilinear resize in front of it, which then has no more channels than it had."""
    resize = graph.steps[conv.inputs[0]]
    if not is_bilinear(resize.layer) or not graph.only_for(resize.name, conv) or not graph.alone(resize, conv):
        return False
    kernel, (source,) = conv.weights[0], resize.inputs
    if kernel.shape[3] > kernel.shape[2]:
        return False
    shapes = {name: (*graph.shapes[of][:3], kernel.shape[3]) for name, of in ((conv.name, source), (resize.name, resize.name))}
    graph.replace(resize)
    layer, _ = copy_layer(resize.layer)
    first = Step(conv.layer, conv.inputs, conv.weights, name=conv.name)
    graph.replace(conv, first, Step(layer, [conv.name], name=resize.name))
    graph.shapes.update(shapes)
    return True


def _sum_means(graph: Graph, mean: Step) -> None:
    """Sum the means of maps instead of the maps, where nothing else reads their sum; the mean of a map enlarged is that of the map."""
    add = graph.steps[mean.inputs[0]]
    if not isinstance(add.layer, layers.Add) or not graph.only_for(add.name, mean):
        return
    means = []
    for number, name in enumerate(add.inputs):
        maker = graph.steps[name]
        source = maker.inputs[0] if _is_half_pixel(maker.layer) else name
        layer, _ = copy_layer(mean.layer, name=f"{mean.name}_of{number}")
        means.append(Step(layer, [source]))
    total, _ = copy_layer(add.layer, name=mean.name)
    graph.replace(add)
    graph.replace(mean, *means, Step(total, [step.name for step in means]))


def _is_half_pixel(layer: layers.Layer) -> bool:
    """Whether the layer is an enlargement that gives each pixel the same weight in all."""
    return isinstance(layer, layers.UpSampling2D) and layer.interpolation in ("bilinear", "nearest")


def _take_shortcut_in(graph: Graph, add: Step) -> None:
    """Compute conv(x) + x by the convolution alone: 1 more at the kernel's middle, from each channel to itself (arXiv:2101.03697)."""
    for name in add.inputs:
        conv = graph.steps[name]
        if sorted(add.inputs) == sorted([name, *conv.inputs]) and _keeps_shape(conv) and graph.only_for(name, add) and graph.alone(conv):
            kernel, *bias = conv.weights
            identity = np.zeros_like(kernel)
            identity[kernel.shape[0] // 2, kernel.shape[1] // 2] = np.eye(kernel.shape[2])
            conv.weights = [kernel + identity, *bias]
            add.inputs = [name]
            graph.replace(add)
            return


def _keeps_shape(step: Step) -> bool:
    """Whether the step is a dense convolution, kernel larger than 1, that gives as many channels as it takes, at the same size."""
    layer = step.layer
    if layer.__class__ is not layers.Conv2D or layer.groups != 1 or layer.activation is not keras.activations.linear:
        return False
    rows, columns, taken, given = step.weights[0].shape
    centred = rows == columns and rows % 2 == 1 and rows > 1  # a 1x1 gains less than a 1 among small weights costs in int8
    return bool(centred and taken == given and layer.strides == (1, 1) and layer.padding == "same")


def _is_softmax(graph: Graph, step: Step) -> bool:
    softmax = isinstance(step.layer, layers.Softmax) or step.layer.activation is keras.activations.softmax
    return softmax and graph.shapes[step.name][-1] == 2


def _last_convolution(graph: Graph, step: Step) -> Step | None:
    """The linear convolution whose output reaches `step`, and no other, by way of nothing but bilinear resizes."""
    maker = graph.steps[step.inputs[0]]
    if not graph.only_for(maker.name, step) or not graph.alone(maker):
        return None
    if is_bilinear(maker.layer):
        return _last_convolution(graph, maker)
    # not a depthwise convolution, which is a Conv2D too: it cannot mix channels
    dense = isinstance(maker.layer, layers.Conv2D) and not isinstance(maker.layer, layers.DepthwiseConv2D) and maker.layer.groups == 1
    return maker if dense and maker.layer.activation is keras.activations.linear else None


def _differences(values: Array, axis: int) -> Array:
    """Of the two entries of `axis`: first - second, second - first."""
    return np.asarray(values - np.flip(values, axis))
