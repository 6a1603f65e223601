"""A file's graph as far as it is needed: the convolutions in their order, and which follows which."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Form = Literal["", "depthwise", "transposed", "slopes"]
"""Of a convolution; or slopes, those of a PReLU, which are kept along with them."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Weights of a convolution, as Keras has them."""

    form: Form = ""
    values: Float32
    """(h,w,in,out); depthwise: (h,w,in,multiplier); transposed: (h,w,out,in); slopes: (1,1,C,1)."""
    bias: Float32
    """(out,)."""
    relu6: bool = False
    """Whether the convolution itself ends in a ReLU6."""

    @property
    def channels(self) -> int:
        """That it gives."""
        last, product = self.values.shape[3], self.values.shape[2] * self.values.shape[3]
        return int({"": last, "depthwise": product, "transposed": self.values.shape[2], "slopes": product}[self.form])

    @property
    def kind(self) -> str:
        """For messages and comparisons, such as "depthwise (3, 3, 16, 1)"."""
        return kind_of(self.values.shape, self.form)


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What a reader tells of an operator."""

    name: str
    inputs: tuple[Hashable, ...]
    """The tensors that depend on the picture."""
    outputs: tuple[Hashable, ...]
    kernel: Callable[[], Kernel] | None = None
    """Reads a convolution's weights; None: it is no convolution. Convolutions that nobody asks for may be of any form."""
    by_channel: bool = False
    """Whether it scales or shifts each channel by itself, as batch normalisation does that is not folded."""
    averages: bool = False
    """Whether it takes means of pixels."""


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution of a file."""

    number: int
    """From 0; of slopes that of the next convolution."""
    name: str
    kernel: Kernel
    after: frozenset[int]
    """Numbers of the convolutions that its input comes from, those with no other in between."""
    changed: str
    """Name of an operator `by_channel` in between; empty: there is none."""
    averaged: bool
    """Whether an operator that `averages` is in between."""


def kind_of(shape: tuple[int, ...], form: Form) -> str:
    """See `Kernel.kind`."""
    return f"{form} {tuple(int(side) for side in shape)}".lstrip()


def trace(operators: Iterable[Operator]) -> Iterator[Conv]:
    """The convolutions; `operators` come in the order in which they run, and are read no further than asked for."""
    reach: dict[Hashable, tuple[frozenset[int], str, bool]] = {}
    number = 0
    for operator in operators:
        before = [reach[name] for name in operator.inputs if name in reach]
        after: frozenset[int] = frozenset().union(*(numbers for numbers, *_ in before))
        averaged = operator.averages or any(seen for *_, seen in before)
        changed = next((name for _, name, _ in before if name), operator.name if operator.by_channel and after else "")
        if operator.kernel:
            kernel = operator.kernel()
            yield Conv(number=number, name=operator.name, kernel=kernel, after=after, changed=changed, averaged=averaged)
            if kernel.form != "slopes":
                after, changed, averaged, number = frozenset([number]), "", False, number + 1
        reach.update((name, (after, changed, averaged)) for name in operator.outputs)
