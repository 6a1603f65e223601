"""A functional net as a list of steps that can be rewritten, and made into a net again.

The copy is in inference form: float32, batch 1, static shapes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from portraitseg.errors import InputError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Slot:
    """Where in a step's arguments its n-th input goes."""

    number: int


@dataclass
class Step:
    """One call of a layer."""

    layer: keras.layers.Layer
    """Not built; shared by the steps that call it."""
    inputs: list[str] = field(default_factory=list)
    """Names of the steps whose outputs it takes."""
    weights: list[Array] = field(default_factory=list)
    call: tuple[Any, Any] | None = None
    """Positional and keyword arguments with slots for the inputs; None: the input, or the list of several."""
    name: str = ""
    """Also that of what it gives; by default the layer's."""

    def __post_init__(self) -> None:
        self.name = self.name or str(self.layer.name)

    def run(self, tensors: list[Any]) -> Any:
        """Call the layer."""
        if self.call is None:
            return self.layer(tensors[0] if len(tensors) == 1 else tensors)
        args, kwargs = tf.nest.map_structure(lambda leaf: tensors[leaf.number] if isinstance(leaf, Slot) else leaf, self.call)
        return self.layer(*args, **kwargs)


class Graph:
    """The steps in an order in which each comes after those that it depends on."""

    def __init__(self, model: keras.Model) -> None:
        """Read a functional model of one input and one output."""
        self.name = model.name
        self.steps: dict[str, Step] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        """Shape (1,h,w,C) of what each step gives that was read or has replaced such a one."""
        names: dict[int, str] = {}
        copies = {layer.name: copy_layer(layer) for layer in model.layers}
        for node in nodes(model):
            step = self._read(node, *copies[node.layer.name], names)
            self.steps[step.name] = step
            for number, tensor in enumerate(tf.nest.flatten(node.outputs)):
                names[id(tensor)] = step.name if number == 0 else f"{step.name}:{number}"
                self.shapes[names[id(tensor)]] = (1, *tensor.shape[1:])
        self.output = names[id(model.outputs[0])]

    def _read(self, node: Any, layer: keras.layers.Layer, weights: list[Array], names: dict[int, str]) -> Step:
        name, count = str(layer.name), 1
        while name in self.steps:
            name, count = f"{layer.name}_{count}", count + 1
        inputs: list[str] = []

        def slot(value: Any) -> Any:
            if id(value) not in names:
                return value
            inputs.append(names[id(value)])
            return Slot(len(inputs) - 1)

        call = tf.nest.map_structure(slot, (node.call_args, node.call_kwargs))
        return Step(layer, inputs, weights, None if node.is_input else call, name)

    def build(self, outputs: Sequence[str] = ()) -> keras.Model:
        """The net; steps that nothing depends on are left out.

        Args:
            outputs: the steps whose outputs are the net's, in the place of `output`.
        """
        tensors: dict[str, Any] = {}
        for name, step in self.steps.items():
            made = step.layer.output if isinstance(step.layer, keras.layers.InputLayer) else step.run([tensors[i] for i in step.inputs])
            for number, tensor in enumerate(tf.nest.flatten(made)):
                tensors[name if number == 0 else f"{name}:{number}"] = tensor
            if step.weights:
                step.layer.set_weights(step.weights)
        made = [tensors[name] for name in outputs or [self.output]]
        return keras.Model(tensors[self.input], made if outputs else made[0], name=self.name)

    @property
    def input(self) -> str:
        """Name of the picture's step."""
        return next(name for name, step in self.steps.items() if isinstance(step.layer, keras.layers.InputLayer))

    def consumers(self, name: str) -> list[Step]:
        """The steps that take what `name` gives."""
        return [step for step in self.steps.values() if name in step.inputs]

    def only_for(self, name: str, step: Step) -> bool:
        """Whether `step` alone takes what `name` gives."""
        return name != self.output and [taker.name for taker in self.consumers(name)] == [step.name]

    def alone(self, *steps: Step) -> bool:
        """Whether no other step calls the layers of `steps`, so that their weights can be changed."""
        return all(sum(step.layer is other.layer for other in self.steps.values()) == 1 for step in steps)

    def find(self, kind: Any, test: Callable[[Step], bool] = lambda step: True) -> Iterator[Step]:
        """The steps whose layer is of a kind, as they are when the search starts."""
        yield from [step for step in self.steps.values() if isinstance(step.layer, kind) and test(step)]

    def append(self, new: Step) -> None:
        """Put `new`, which keeps the shape, at the end."""
        self.shapes[new.name] = self.shapes[self.output]
        self.insert(self.output, new)

    def insert(self, name: str, new: Step) -> None:
        """Put `new`, which takes what `name` gives, between that step and all that took it so far."""
        for step in self.consumers(name):
            step.inputs = [new.name if source == name else source for source in step.inputs]
        self.steps = {made.name: made for step in self.steps.values() for made in ((step, new) if step.name == name else (step,))}
        self.output = new.name if self.output == name else self.output

    def replace(self, old: Step, *new: Step) -> None:
        """Put `new` in the place of `old`; who took what `old` gave takes what the last of `new` gives, or, with none, old's input."""
        shape = self.shapes.pop(old.name, None)
        end = new[-1].name if new else old.inputs[0]
        order: dict[str, Step] = {}
        for name, step in self.steps.items():
            order.update({made.name: made for made in new} if step is old else {name: step})
        self.steps = order
        fresh = {id(step) for step in new}
        for step in self.steps.values():
            if id(step) not in fresh:
                step.inputs = [end if name == old.name else name for name in step.inputs]
        self.output = end if self.output == old.name else self.output
        if shape:
            self.shapes.setdefault(end, shape)


def copy_layer(layer: keras.layers.Layer, **changes: Any) -> tuple[keras.layers.Layer, list[Array]]:
    """The layer anew, not built, with the same settings but `changes`, at batch 1, in float32 whatever precision it was trained in.

    Returns:
        The layer, and its weights.

    Raises:
        InputError: the net's input has no fixed size.
    """
    config = {**layer.get_config(), "dtype": "float32", **changes}
    if isinstance(layer, keras.layers.InputLayer):
        shape = config["batch_input_shape"][1:]
        if None in shape:
            raise InputError(f"the net's input has no fixed size, got {shape}; build it with the size that it is to run at")
        config["batch_input_shape"] = (1, *shape)
    return layer.__class__.from_config(config), [np.asarray(weight) for weight in layer.get_weights()]


def nodes(model: keras.Model) -> Iterator[Any]:
    """The calls that make up the graph, each after those that it depends on."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from model._nodes_by_depth[depth]
