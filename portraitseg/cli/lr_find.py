"""Try rising learning rates on the net, the data and the settings of a training, draw the loss over them, and suggest a peak rate.

Takes the settings of `train`. Nothing is trained: the weights are put back, and no checkpoint is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from portraitseg.errors import InputError
from portraitseg.files import refuse_existing
from portraitseg.quiet import load_tensorflow
from portraitseg.training import presets
from portraitseg.training.config import TrainConfig

if TYPE_CHECKING:
    from portraitseg.training import lr_finder


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """Settings of the training to come, and the rates to try."""

    preset: str = ""
    """Published recipe, whose settings then stand for the defaults; flags beside it win. `portraitseg presets` lists them."""
    lowest: float = 1e-6
    """The first learning rate."""
    highest: float = 1.0
    """The last one, unless the loss explodes before."""
    steps: int = 200
    """How many are tried, one a step."""
    curve: Path = Path("lr-find.png")
    """Drawing of the loss over the learning rate (.png)."""
    force: bool = False
    """Overwrite the drawing if it exists."""


def defaults(argv: Sequence[str]) -> Config:
    """The settings before the flags: a preset's where one is named."""
    return presets.defaults(Config, argv)


def run(config: Config) -> int:
    """Test, draw, suggest."""
    if config.curve.suffix != ".png":
        raise InputError(f"--curve must end in .png, got {config.curve}")
    refuse_existing(config.curve, force=config.force)
    settings = TrainConfig(**{item.name: getattr(config, item.name) for item in fields(TrainConfig)})
    phase = settings.plan()[0]
    if settings.strategy != "single":
        raise InputError("lr-find computes on one device, and what it finds for a --batch is the same on many; leave out --strategy")
    if settings.qat is not None:
        raise InputError("lr-find is for the float net; leave out --qat, whose learning rate is a twentieth of the float net's by default")
    load_tensorflow()
    from portraitseg.data.sources import open_data
    from portraitseg.training import lr_finder
    from portraitseg.training.self_training import Rounds
    from portraitseg.training.trainer import Trainer

    dataset = open_data(settings.data, settings.val, seed=settings.seed)
    print("\n".join(dataset.report))
    taught, _ = Rounds(settings, dataset).dataset_of(None)
    trainer = Trainer(settings, taught, settings.out)
    batches = trainer.trial()
    step, lowest, highest = trainer.step, config.lowest, config.highest
    curve = lr_finder.find(trainer.model, trainer.optimizer, step, batches, lowest=lowest, highest=highest, steps=config.steps)
    lr_finder.draw(curve, config.curve)
    print(f"{trainer.card.name}, {settings.optimizer}, batches of {trainer.step_batch}, phase {phase.name!r}: look at {config.curve}")
    print(_summary(curve))
    return 0


def _summary(curve: "lr_finder.Curve") -> str:
    end = f"exploded at {curve.rates[-1]:.1e}" if curve.diverged else f"did not explode up to {curve.rates[-1]:.1e}; try a higher --highest"
    return "\n".join(
        [
            f"  the loss {end}",
            f"  steepest descent              {curve.steepest:.1e}",
            f"  a tenth of the lowest loss's  {curve.tenth:.1e}",
            f"suggestion, the smaller of both: --lr {curve.suggestion:.1e}",
        ]
    )
