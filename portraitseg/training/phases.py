"""Phases: epochs under one freezing rule each, as data and as the words of `--phases`."""

import math
from dataclasses import dataclass

from portraitseg.errors import InputError

FORM = "NAME:EPOCHS[:LR[:FROZEN]], such as decoder:10:1e-3:enc_,all:20:1e-4"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Epochs under one freezing rule."""

    name: str
    epochs: int
    lr: float
    frozen: str = ""
    """Layers whose name starts so keep their weights and batch-norm statistics; several beginnings are joined by +; empty: none."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of the frozen layers start with."""
        return tuple(prefix for prefix in self.frozen.split("+") if prefix)


def parse(text: str, *, lr: float) -> list[Phase]:
    """The phases that `--phases` names, in order.

    Args:
        text: phases parted by commas, each NAME:EPOCHS[:LR[:FROZEN]].
        lr: of the phases that name none.

    Raises:
        InputError: a phase is not of that form, or a number is out of range.
    """
    return [_phase(part.strip(), lr) for part in text.split(",")]


def _phase(part: str, lr: float) -> Phase:
    words = part.split(":")
    if not 2 <= len(words) <= 4 or not words[0]:
        raise InputError(f"--phases: {part!r} is not of the form {FORM}")
    name, epochs, own, frozen = [*words, "", ""][:4]
    try:
        phase = Phase(name=name, epochs=int(epochs), lr=float(own) if own else lr, frozen=frozen)
    except ValueError as error:
        raise InputError(f"--phases: {part!r}: {error}; the form is {FORM}") from error
    if phase.epochs < 1 or not 0 < phase.lr < math.inf:
        raise InputError(f"--phases: {part!r}: epochs must be at least 1 and the learning rate above 0")
    return phase
