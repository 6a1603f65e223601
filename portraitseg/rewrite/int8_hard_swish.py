"""Hard-swish in operations that XNNPACK takes in int8.

hard_swish(x) = x * relu6(x + 3) / 6. The sum and the product are fast, a MUL by a constant is not, so the sixth goes into the weights of
the convolutions that take the product. Pools, gates and sums on the way are six times as large too; what a sum adds to it becomes so by
the convolution that gives it. Only where something else stands on the way does the MUL by a sixth stay.

Time of one thread (an AMD CPU with AVX-512; us for 64 channels at 64x64, 96 at 32x32, 16 at 128x128): 27, 10, 26; with the sixth by MUL
132, 56, 152; with x / 6 by the convolution before, and a 1x1 depthwise one to relu6(x + 3), 120, 51, 170.
"""

from tf_keras import layers

from portraitseg.layers import HardSwish
from portraitseg.rewrite.factors import CONVOLUTIONS, KEEPING, is_linear
from portraitseg.rewrite.graph import Graph, Step

OF_ALL = (layers.Add, layers.GlobalAveragePooling2D, *KEEPING)
"""Layers that give six times as much for six times as much of all that they take."""


def rewrite_hard_swishes(graph: Graph) -> None:
    """Replace every hard-swish."""
    for step in graph.find(HardSwish):
        (source,), layer = step.inputs, layers.Multiply(name=step.name)
        shifted = Step(layers.Rescaling(1.0, 3.0, name=f"{step.name}_shifted"), [source])
        gate = Step(layers.ReLU(6.0, name=f"{step.name}_gate"), [shifted.name])
        product = Step(layer, [source, gate.name])
        graph.replace(step, shifted, gate, product)
        if not _absorb(graph, product):  # a sixth of the product would be a HARD_SWISH for the converter
            sixth = Step(layers.Rescaling(1 / 6, name=f"{step.name}_sixth"), [source])
            graph.replace(product, sixth, Step(layer, [sixth.name, gate.name]))


def _absorb(graph: Graph, product: Step) -> bool:
    """Let the convolutions around all that is six times as large as it should be make up for it, if they can."""
    larger: list[str] = [product.name]
    givers: list[Step] = []
    takers: list[Step] = []
    for name in larger:  # which grows
        maker, users = graph.steps[name], graph.consumers(name)
        if name == graph.output or not (is_linear(maker) or isinstance(maker.layer, (*OF_ALL, layers.Multiply))):
            return False
        givers += [maker] if is_linear(maker) else []
        takers += [user for user in users if isinstance(user.layer, CONVOLUTIONS)]
        others = [user.name for user in users if not isinstance(user.layer, CONVOLUTIONS)]
        others += maker.inputs if isinstance(maker.layer, OF_ALL) else []
        larger += [other for other in dict.fromkeys(others) if other not in larger]
    weighed = [graph.steps[name].inputs for name in larger[1:] if isinstance(graph.steps[name].layer, layers.Multiply)]
    if not graph.alone(*givers, *takers) or any(sum(source in larger for source in sources) != 1 for sources in weighed):
        return False
    for giver in givers:
        giver.weights = [values * 6 for values in giver.weights]
    for taker in takers:
        taker.weights = [taker.weights[0] / 6, *taker.weights[1:]]
    return True
