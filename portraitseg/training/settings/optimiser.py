"""How a run descends."""

from dataclasses import dataclass
from typing import Literal, get_args

from portraitseg.errors import InputError

Schedule = Literal["cosine", "plateau", "step", "onecycle", "triangular", "triangular2", "exp_range", "constant"]
CYCLES = ("onecycle", "triangular", "triangular2", "exp_range")
"""The schedules that rise and fall."""


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """Epochs, optimiser, learning rate, freezing."""

    epochs: int | None = None
    """Passes over the training set (default: 20, or 4 on the synthetic set)."""
    batch: int = 16
    """Pictures a step."""
    accumulate: int = 1
    """Batches whose gradients are averaged before the weights change: the step of a batch so many times as large, in the memory of one."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam, Adam with decoupled weight decay, or gradient descent with momentum."""
    lr: float = 2e-3
    """Peak learning rate; `portraitseg lr-find` suggests one."""
    momentum: float = 0.9
    """Momentum of sgd, beta 1 of adam and adamw."""
    weight_decay: float = 0.0
    """Pull of the weights to 0, but not of batch norm and biases; as in PyTorch, for adam and sgd part of the gradient, for adamw not."""
    clip_norm: float = 1.0
    """Largest norm of all gradients together; longer ones are shortened to it (0: as they are)."""
    ema: float = 0.0
    """Decay of an average of the weights, which is what is validated and saved, such as 0.999 (0: none)."""
    schedule: Schedule = "cosine"
    """Learning rate: down to 0 along a cosine, down by a factor where validation stands still or every few epochs, up and down in one cycle
    or several, or constant. Those without cycles start with a warm-up."""
    warmup: int = 200
    """Steps over which each phase's learning rate rises from 0."""
    min_lr: float = 0.0
    """Schedules plateau and step: they go no lower."""
    plateau_factor: float = 0.5
    """Schedule plateau: what the learning rate is multiplied by."""
    plateau_patience: int = 3
    """Schedule plateau: epochs without a better validation mIoU before that."""
    step_factor: float = 0.95
    """Schedule step: what the learning rate is multiplied by."""
    step_epochs: int = 20
    """Schedule step: epochs before each time."""
    cycle_base: float = 0.1
    """Cycles: the learning rate that they start from, as a share of --lr, their peak."""
    cycle_epochs: float = 8.0
    """Schedules triangular, triangular2 and exp_range: epochs up and down; a phase is filled by a whole number of cycles about so long."""
    cycle_steps: int = 0
    """The same in steps (0: as --cycle-epochs says)."""
    cycle_gamma: float = 0.99994
    """Schedule exp_range: what the height of the cycles is multiplied by in each step."""
    cycle_momentum: str = ""
    """Cycles: momentum at the peak and at the base, such as 0.85,0.95 (default: it stays as --momentum says)."""
    annihilation: float = 0.1
    """Cycles: last part of each phase, in which the learning rate falls from the base to a thousandth of it."""
    patience: int = 0
    """Stop after so many epochs without a better validation mIoU (0: never)."""
    freeze_epochs: int = 0
    """Epochs at the start in which the encoder (layers enc_*) is frozen, batch-norm statistics included."""
    phases: str = ""
    """Phases in place of --epochs and --freeze-epochs, each NAME:EPOCHS[:LR[:FROZEN]], such as decoder:10:1e-3:enc_,all:20:1e-4; FROZEN are
    beginnings of layers' names, joined by +."""
    bn_momentum: float = 0.95
    """Momentum of the batch-norm statistics; a short run needs a small one, or they lag behind the weights."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Arithmetic of the layers; weights and losses stay in float32. On a CPU with AVX512_BF16 mixed_bfloat16 makes steps of large nets
    (unet, u2net, resunet) up to twice as fast; small nets are slower by it."""
    seed: int = 0
    """Seed of the weights, the order, the augmentation and the dropout."""

    def check(self) -> None:
        """Refuse what no run can have.

        Raises:
            InputError: a number is out of its range, or a setting does not go with the schedule.
        """
        for name, good, allowed in self._rules():
            if not good:
                raise InputError(f"--{name.replace('_', '-')} must be {allowed}, got {getattr(self, name)}")
        self.momentum_range  # noqa: B018  # raises

    @property
    def momentum_range(self) -> tuple[float, float] | None:
        """Lowest and highest momentum of the cycles; None: it is not cycled.

        Raises:
            InputError: they are not two numbers in order, or the schedule has no cycles.
        """
        if not self.cycle_momentum:
            return None
        try:
            low, high = (float(number) for number in self.cycle_momentum.split(","))
        except ValueError:
            low, high = 1.0, 0.0
        if not 0 <= low <= high < 1:
            raise InputError(
                f"--cycle-momentum takes two numbers from 0 to below 1, the lower first, such as 0.85,0.95; got {self.cycle_momentum}"
            )
        if self.schedule not in CYCLES:
            raise InputError(f"--cycle-momentum goes with cycles, not with schedule {self.schedule}; use one of {', '.join(CYCLES)}")
        return low, high

    def _rules(self) -> list[tuple[str, bool, str]]:
        """Field, whether it is as it must be, and how that is."""
        return [
            *((name, getattr(self, name) >= 1, "at least 1") for name in ("batch", "accumulate", "step_epochs", "plateau_patience")),
            *((name, getattr(self, name) > 0, "above 0") for name in ("lr", "cycle_epochs")),
            *((name, getattr(self, name) >= 0, "at least 0") for name in NOT_NEGATIVE),
            *(
                (name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
                for name in ("momentum", "ema", "annihilation", "bn_momentum")
            ),
            *((name, 0 < getattr(self, name) <= 1, "above 0 and at most 1") for name in FACTORS),
            ("schedule", self.schedule in get_args(Schedule), f"one of {', '.join(get_args(Schedule))}"),
        ]


NOT_NEGATIVE = ("weight_decay", "clip_norm", "warmup", "min_lr", "cycle_steps", "patience", "freeze_epochs")
FACTORS = ("plateau_factor", "step_factor", "cycle_base", "cycle_gamma")
