"""Train a net.

Without --data it trains on the embedded set of drawn (synthetic) portraits; --data DIR takes real pictures with masks. Leaves in
runs/NAME: best.h5 and last.h5 with their cards, log.csv, tensorboard/, curves.png, sheet.png.
"""

import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portraitseg.errors import InputError
from portraitseg.quiet import load_tensorflow
from portraitseg.training.config import TrainConfig

if TYPE_CHECKING:
    from portraitseg.data.sources import Dataset
    from portraitseg.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """Settings of one training run, and how to start it."""

    resume: Path | None = None
    """Folder of an interrupted run: go on where it stopped, with its settings (only --epochs may be given beside it)."""
    force: bool = False
    """Delete the run's folder first if it exists."""
    quick: bool = False
    """A trial of a minute: 2 epochs of 480 pictures in small batches, so that every step of the way is seen to work. The net is rough."""


def run(config: Config) -> int:
    """Train, then say what comes next."""
    from portraitseg.data.sources import open_data

    load_tensorflow()
    settings, folder = _resumed(config) if config.resume else _started(config)
    settings.phases()
    dataset = open_data(settings.data, settings.val, seed=settings.seed)
    print("\n".join(dataset.report))
    trainer = _trainer(settings, dataset, folder, config)
    return _fit(trainer, "fp32" if config.quick else "int8")


def _started(config: Config) -> tuple[TrainConfig, Path]:
    """Settings and folder of a new run."""
    base = TrainConfig(**{item.name: getattr(config, item.name) for item in fields(TrainConfig)})
    if config.quick:
        base = replace(base, epochs=2, samples=480, batch=8, warmup=10, bn_momentum=0.85)
    names = base.data_names or (base.data.resolve().name if base.data else "synthetic",)
    base = replace(base, data_names=names, data=base.data and base.data.resolve(), val=base.val and base.val.resolve())
    return base, base.out / (base.name or f"{base.arch}-{names[0]}")


def _resumed(config: Config) -> tuple[TrainConfig, Path]:
    """Settings and folder of an interrupted run."""
    folder = config.resume or Path()
    given = {item.name for item in fields(Config) if getattr(config, item.name) != item.default} - {"resume", "epochs"}
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in sorted(given))
        raise InputError(f"--resume goes on with the run's own settings; leave out {flags}")
    stored = TrainConfig.load(folder / "config.json")
    return (stored if config.epochs is None else replace(stored, epochs=config.epochs)), folder


def _trainer(settings: TrainConfig, dataset: "Dataset", folder: Path, config: Config) -> "Trainer":
    from portraitseg.training.trainer import Trainer

    resume = config.resume is not None
    if not resume and folder.exists() and any(folder.iterdir()):
        if not config.force:
            raise InputError(f"{folder} exists already; go on with --resume {folder}, replace it with --force, or choose another --name")
        shutil.rmtree(folder)
    trainer = Trainer(settings, dataset, folder, resume=resume)
    settings.save(folder / "config.json")
    card = trainer.card
    print(f"{card.name}: {trainer.model.count_params():,} parameters, {settings.total_epochs} epochs, into {folder}")
    return trainer


def _fit(trainer: "Trainer", quant: str) -> int:
    """Train; then draw the contact sheet and name the next commands, with the precision that this net can bear."""
    from portraitseg import checkpoint
    from portraitseg.training import report
    from portraitseg.training.trainer import RunStoppedError
    from portraitseg.training.validation import predict

    try:
        card = trainer.fit()
    except RunStoppedError:
        print(f"saved. To go on: python train.py --resume {trainer.folder}")
        return 130
    model, card = checkpoint.load(trainer.best)
    report.draw_sheet(trainer.dataset.val, card, predict(model, card, trainer.dataset.val), trainer.folder / "sheet.png")
    print(_closing(trainer, card.metrics["miou"], quant))
    return 0


def _closing(trainer: "Trainer", miou: float, quant: str) -> str:
    folder = trainer.folder
    return "\n".join(
        [
            f"\nbest validation mIoU {miou:.2f}; look at {folder / 'sheet.png'} and {folder / 'curves.png'}",
            "next:",
            f"  python eval.py {trainer.best}",
            f"  python export.py {trainer.best} --quant {quant}",
            f"  python test.py PHOTO.jpg --model {folder / trainer.card.name}-{quant}.tflite",
        ]
    )
