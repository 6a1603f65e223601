"""What a net consists of and costs to run: its multiply-adds, and its stages as the rows of a table.

All of it is said of the net that ships (`archs.logits_model`): heads that only train it cost nothing and are no stage.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import tf_keras as keras
from tf_keras import layers

from portraitseg.archs import LOGITS, logits_model
from portraitseg.layers import Dropout, HardSigmoid, HardSwish
from portraitseg.resizing import AlignCorners, BilinearTranspose, DepthwiseConv2DTranspose

Layer = Any
Size = tuple[int, int]
Graph = list[tuple[Layer, list[Layer]]]
"""Each layer, behind those that it reads."""

HEAD = "head"
PART = re.compile(r"enc_\d+|[a-z]+\d*")
"""What a layer's name says of its part: "enc", "enc_3" (a numbered stage of the encoder), "dec4", "head"."""
CONVS: dict[Any, str] = {
    layers.Conv2DTranspose: "deconv",
    layers.DepthwiseConv2D: "dw",
    layers.SeparableConv2D: "separable",
    layers.Conv2D: "conv",
}
ENLARGING: dict[Any, str] = {
    layers.UpSampling2D: "bilinear",
    AlignCorners: "bilinear",
    BilinearTranspose: "bilinear deconv",
    DepthwiseConv2DTranspose: "dw deconv 4x4",
}
COMBINING: dict[Any, str] = {
    layers.GlobalAveragePooling2D: "mean",
    layers.Add: "add",
    layers.Multiply: "multiply",
    layers.Concatenate: "concat",
}
KINDS = CONVS | ENLARGING | COMBINING
UNSAID = (
    *(layers.InputLayer, layers.ZeroPadding2D, layers.BatchNormalization, layers.Activation),
    *(layers.ReLU, layers.PReLU, layers.LeakyReLU, HardSwish, HardSigmoid),
    *(Dropout, layers.Dropout, layers.SpatialDropout2D),
)
"""Left out of a stage's layers, as papers do."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A tensor that a stage reads."""

    stage: str
    """Name of the stage that makes it."""
    channels: int


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Layers of one part at one resolution; what lies between two layers of one resolution, as in a U within the U, belongs to it."""

    name: str
    """The part ("dec4"), and where that has several stages their size against the picture's ("enc 1/8")."""
    size: Size
    """Height and width of its last tensor."""
    channels: int
    """Of its last tensor."""
    ops: tuple[str, ...]
    """Its layers in order of first appearance, counted: ("conv 3x3 /2", "4 conv 1x1", "add")."""
    params: int
    macs: int
    sources: tuple[Source, ...]
    """What it reads of other stages, in their order."""


def macs(model: keras.Model) -> int:
    """Multiply-adds of one picture: convolutions alone, without biases and activations, and without training-only heads."""
    return sum(layer_macs(layer) for layer in logits_model(model).layers)


def layer_macs(layer: Layer) -> int:
    """Multiply-adds of one layer, 0 where it is no convolution.

    Transposed convolutions multiply at each input pixel, all others at each output pixel. Those that go channel by channel count as
    what they run and ship as: full ones that are 0 off the diagonal.
    """
    if isinstance(layer, layers.Conv2DTranspose):
        return int(prod(layer.kernel.shape) * prod(layer.input_shape[1:3]))
    if isinstance(layer, DepthwiseConv2DTranspose | BilinearTranspose):
        return int((2 * layer.factor * layer.input_shape[3]) ** 2 * prod(layer.input_shape[1:3]))
    if not _is(layer, CONVS):
        return 0
    kernels = [getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel")]
    return int(sum(prod(kernel.shape) for kernel in kernels if kernel is not None) * prod(layer.output_shape[1:3]))


def stages(model: keras.Model, params: Mapping[str, int] | None = None) -> list[Stage]:
    """The stages of the net that ships, from the picture to the logits.

    Args:
        model: a flat net of named layers, as `archs.build` gives it.
        params: parameters by layer (default: as Keras counts them, batch-norm statistics included).
    """
    trunk = logits_model(model)
    graph = _graph(trunk)
    counts = {layer.name: layer.count_params() for layer, _ in graph} if params is None else params
    groups = _groups(graph)
    names = {layer.name: name for name, members in groups.items() for layer in members}
    reads: dict[str, dict[str, int]] = {name: {} for name in groups}
    for layer, inputs in graph:
        for source in inputs:
            reads[names[layer.name]][names[source.name]] = source.output.shape[-1]
    return [
        Stage(
            name=name,
            size=_size(members[-1]),
            channels=members[-1].output.shape[-1],
            ops=tuple(_ops(members)),
            params=sum(counts.get(layer.name, 0) for layer in members),
            macs=sum(layer_macs(layer) for layer in members),
            sources=tuple(Source(stage=other, channels=reads[name][other]) for other in groups if other in reads[name] and other != name),
        )
        for name, members in groups.items()
    ]


def _graph(model: keras.Model) -> Graph:
    nodes = [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]
    return [(node.layer, [inbound[0] for inbound in node.iterate_inbound()]) for node in nodes]


def _groups(graph: Graph) -> dict[str, list[Layer]]:
    """Stage -> its layers; each stage before those that read all of it."""
    homes, parts = _homes(graph), dict[str, list[Layer]]()
    order = {layer.name: number for number, (layer, _) in enumerate(graph)}
    for layer, _ in graph:
        parts.setdefault(_part(layer.name), []).append(layer)
    groups = {}
    for part, members in parts.items():
        runs = [members] if part == HEAD else _merged(_runs(members, homes))
        for run in runs:
            scale = graph[0][0].output.shape[1] // _size(run[-1])[0]
            groups[part if len(runs) == 1 else f"{part} 1/{scale}"] = run
    return dict(sorted(groups.items(), key=lambda item: order[item[1][-1].name]))


def _part(name: str) -> str:
    found = PART.match(name)
    return HEAD if name == LOGITS or found is None else found.group()


def _runs(members: Sequence[Layer], homes: Mapping[str, Size]) -> Iterator[list[Layer]]:
    """Cut where a resolution ends for good."""
    last = {homes[layer.name]: index for index, layer in enumerate(members)}
    run: list[Layer] = []
    end = 0
    for index, layer in enumerate(members):
        if index > end:
            yield run
            run = []
        run.append(layer)
        end = max(end, last[homes[layer.name]])
    yield run


def _merged(runs: Iterable[list[Layer]]) -> list[list[Layer]]:
    """Let runs in which nothing stands that `_ops` says begin the next one: a lone activation is no stage."""
    merged: list[list[Layer]] = []
    waiting: list[Layer] = []
    for run in runs:
        waiting = [*waiting, *run]
        if any(_ops(run)) or isinstance(run[0], layers.InputLayer):
            merged.append(waiting)
            waiting = []
    return [*merged, waiting] if waiting else merged


def _homes(graph: Graph) -> dict[str, Size]:
    """The resolution that each layer belongs to: its output's.

    But what is made of a map's mean belongs to the map, and padding to the layer behind it.
    """
    homes: dict[str, Size] = {}
    vectors = set()
    for layer, inputs in graph:
        if isinstance(layer, layers.GlobalAveragePooling2D) or (inputs and all(source.name in vectors for source in inputs)):
            vectors.add(layer.name)
        homes[layer.name] = homes[inputs[0].name] if layer.name in vectors else _size(layer)
    for layer, inputs in reversed(graph):
        homes |= {source.name: homes[layer.name] for source in inputs if isinstance(source, layers.ZeroPadding2D)}
    return homes


def _size(layer: Layer) -> Size:
    _, height, width, _ = layer.output.shape
    return height, width


def _ops(members: Sequence[Layer]) -> Iterator[str]:
    counts = Counter(_op(layer) for layer in members if not isinstance(layer, UNSAID))
    return (f"{count} {label}" if count > 1 else label for label, count in counts.items())


def _op(layer: Layer) -> str:
    """A layer in a few letters: "conv 3x3 /2 d4" has stride 2 and dilation 4, "deconv 3x3 x2" doubles."""
    kind = next((label for kind, label in KINDS.items() if isinstance(layer, kind)), type(layer).__name__)
    if _is(layer, CONVS):
        return kind + _conv_details(layer)
    if _is(layer, ENLARGING):
        return f"{kind} x{layer.factor if hasattr(layer, 'factor') else layer.size[0]}"
    if isinstance(layer, layers.MaxPooling2D):
        (kernel, _), (stride, _) = layer.pool_size, layer.strides
        return f"max pool /{stride}" if kernel == stride else f"max pool {kernel}x{kernel} /{stride}"
    return kind


def _is(layer: Layer, kinds: Mapping[Any, str]) -> bool:
    return isinstance(layer, tuple(kinds))


def _conv_details(layer: Layer) -> str:
    (height, width), (stride, _), (dilation, _) = layer.kernel_size, layer.strides, layer.dilation_rate
    sign = "x" if isinstance(layer, layers.Conv2DTranspose) else "/"
    parts = [(f" {sign}{stride}", stride), (f" d{dilation}", dilation), (f" g{layer.groups}", layer.groups)]
    return f" {height}x{width}" + "".join(text for text, value in parts if value > 1)
