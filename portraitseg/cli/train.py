"""Train a net.

Without --data it trains on the embedded set of drawn (synthetic) portraits; --data DIR takes real pictures with masks. Leaves in
runs/NAME: best.h5 and last.h5 with their cards, log.csv, tensorboard/, curves.png, sheet.png.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portraitseg.errors import InputError, RunStoppedError
from portraitseg.quiet import load_tensorflow
from portraitseg.training import presets
from portraitseg.training.config import PATH_LISTS, PATHS, TrainConfig

if TYPE_CHECKING:
    from portraitseg.data.sources import Dataset
    from portraitseg.training.distribute import Devices
    from portraitseg.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """Settings of one training run, and how to start it."""

    preset: str = ""
    """Published recipe, whose settings then stand for the defaults; flags beside it win. `portraitseg presets` lists them."""
    resume: Path | None = None
    """Folder of an interrupted run: go on where it stopped, with its settings (only --epochs may be given beside it)."""
    force: bool = False
    """Delete the run's folder first if it exists."""
    quick: bool = False
    """A trial of a minute: 2 epochs of 480 pictures in small batches, without --phases. Every step is seen to work; the net is rough."""


def defaults(argv: Sequence[str]) -> Config:
    """The settings before the flags: a preset's where one is named."""
    return presets.defaults(Config, argv)


def run(config: Config) -> int:
    """Train, then say what comes next."""
    load_tensorflow()
    from portraitseg.data.sources import open_data
    from portraitseg.training import distribute, tracking

    settings, folder = _resumed(config) if config.resume else _started(config)
    settings.plan()
    settings.check_teaching()
    tracking.check(settings)
    devices = distribute.open_devices(settings)
    if not devices.chief:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            return _rounds(settings, open_data(settings.data, settings.val, seed=settings.seed), folder, config, devices)
    _refuse_to_lose(folder, config)
    dataset = open_data(settings.data, settings.val, seed=settings.seed)
    print("\n".join(dataset.report))
    return _rounds(settings, dataset, folder, config, devices)


def _started(config: Config) -> tuple[TrainConfig, Path]:
    """Settings and folder of a new run."""
    base = TrainConfig(**{item.name: getattr(config, item.name) for item in fields(TrainConfig)})
    if base.qat_start:
        base = _from_checkpoint(base, base.qat_start.resolve())
    if config.quick:
        base = replace(base, epochs=None if base.qat else 2, qat_epochs=2, phases="", freeze_epochs=min(base.freeze_epochs, 1))
        base = replace(base, samples=480, batch=8, warmup=10, bn_momentum=0.85)
    names = base.data_names or (base.data.resolve().name if base.data else "synthetic",)
    given = {name: getattr(base, name) for name in PATHS if name != "out"}
    base = replace(base, data_names=names, **{name: path.resolve() for name, path in given.items() if path is not None})
    lists: dict[str, Any] = {name: tuple(path.resolve() for path in getattr(base, name)) for name in PATH_LISTS}
    base = replace(base, **lists)
    return base, base.out / (base.name or f"{base.arch}-{names[0]}{'-qat' if base.qat else ''}")


def _from_checkpoint(settings: TrainConfig, start: Path) -> TrainConfig:
    """The settings of a run that starts from `start` with --qat: its net, and, if none is given, its data."""
    from portraitseg import checkpoint
    from portraitseg.training import qat

    settings, trained = qat.settings_for(settings, start), checkpoint.read_card(start).training
    if settings.data is None and trained.get("data"):
        val = Path(trained["val"]) if trained.get("val") else None
        settings = replace(settings, data=Path(trained["data"]), val=settings.val or val)
        print(f"trained on as the checkpoint was: {settings.data}")
    return settings


def _resumed(config: Config) -> tuple[TrainConfig, Path]:
    """Settings and folder of an interrupted run."""
    folder = config.resume or Path()
    if config.preset:
        raise InputError("--resume goes on with the run's own settings; leave out --preset")
    given = {item.name for item in fields(Config) if getattr(config, item.name) != item.default} - {"resume", "epochs"}
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in sorted(given))
        raise InputError(f"--resume goes on with the run's own settings; leave out {flags}")
    stored = TrainConfig.load(folder / "config.json")
    if stored.qat_start and config.epochs is not None:
        raise InputError("--epochs is not for a run of --qat, whose epochs are set when it starts; leave it out")
    if stored.rounds > 1 and config.epochs is not None:
        raise InputError("more epochs would change what the rounds that are done have taught the others; leave out --epochs")
    return (stored if config.epochs is None else replace(stored, epochs=config.epochs)), folder


def _refuse_to_lose(folder: Path, config: Config) -> None:
    if config.qat_start and folder.resolve() in config.qat_start.resolve().parents:
        raise InputError(f"{config.qat_start} lies in {folder}, which the run would replace; choose another --name")
    if config.resume is None and not config.force and folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} exists already; go on with --resume {folder}, replace it with --force, or choose another --name")


def _rounds(settings: TrainConfig, dataset: "Dataset", folder: Path, config: Config, devices: "Devices") -> int:
    """Train; with --rounds again and again, into round2/, round3/ and so on, each time with the masks that the net before has made.

    A resumed run goes on in the round in which it was stopped.
    """
    from portraitseg.training.self_training import Rounds

    rounds = Rounds(settings, dataset)
    _say(rounds.report)
    folders = [folder, *(folder / f"round{number}" for number in range(2, settings.rounds + 1))]
    started = [number for number, inner in enumerate(folders) if config.resume and (inner / "last.state.npz").exists()]
    for number in range(max(started, default=0), len(folders)):
        taught, report = rounds.dataset_of(folders[number - 1] / "best.h5" if number else None)
        _say([f"\nround {number + 1} of {settings.rounds}" if settings.rounds > 1 else "", *report])
        resume = number in started or (config.resume is not None and not number)
        trainer = _trainer(settings, taught, folders[number], folder, devices, resume=resume)
        if code := _fit(trainer, folder):
            return code
    if settings.qat == ():
        if code := _fit(_last_phase(settings, taught, folders[-1] / "best.h5", folder / "qat", resumed=config.resume is not None), folder):
            return code
        folders = [folder / "qat"]
    if devices.chief:
        print(_closing(folders, "fp32" if config.quick and settings.qat is None else "int8"))
    return 0


def _last_phase(settings: TrainConfig, dataset: "Dataset", best: Path, folder: Path, *, resumed: bool) -> "Trainer":
    """The trainer of quantization-aware training behind the run's own, which goes on from its best checkpoint."""
    from portraitseg.training import qat
    from portraitseg.training.distribute import Devices

    print("\nquantization-aware training")
    resume = resumed and (folder / "last.state.npz").exists()
    return _trainer(qat.last_phase(settings, best), dataset, folder, folder, Devices(), resume=resume)


def _say(lines: list[str]) -> None:
    print(*filter(None, lines), sep="\n", end="\n" if any(lines) else "")


def _trainer(settings: TrainConfig, dataset: "Dataset", folder: Path, root: Path, devices: "Devices", *, resume: bool) -> "Trainer":
    """The trainer of a round in `folder`; the settings lie in the run's own folder, `root`."""
    from portraitseg.training.trainer import Trainer

    if devices.chief and not resume and folder.exists():
        shutil.rmtree(folder)
    if settings.qat_start:
        from portraitseg.export.qat import score
        from portraitseg.training.qat import QatTrainer

        trainer: Trainer = QatTrainer(settings, dataset, folder, score=score, resume=resume)
    else:
        trainer = Trainer(settings, dataset, folder, resume=resume, devices=devices)
    if devices.chief:
        settings.save(root / "config.json")
    card = trainer.card
    print(f"{card.name}: {trainer.model.count_params():,} parameters, {settings.total_epochs} epochs, into {folder}")
    return trainer


def _fit(trainer: "Trainer", root: Path) -> int:
    """Train, then draw the contact sheet; with --track, tell the service. All but the chief of several workers only train."""
    from portraitseg import checkpoint
    from portraitseg.training import distribute, report, tracking
    from portraitseg.training.validation import predict

    name = trainer.folder.resolve().relative_to(root.resolve().parent).as_posix()
    try:
        if not trainer.devices.chief:
            trainer.fit()
            return 0
        with tracking.tracked(trainer.config, trainer.folder, name) as tracked:
            trainer.fit(tracked)
            model, card = checkpoint.load(trainer.best)
            report.draw_sheet(trainer.dataset.val, card, predict(model, card, trainer.dataset.val), trainer.folder / "sheet.png")
            tracked.keep(card)
    except RunStoppedError:
        print(f"saved. To go on: python train.py --resume {root}")
        return 130
    except distribute.WorkerLostError as error:
        print(f"error: another worker is gone ({error}); start all workers again, each with --resume {root}", file=sys.stderr)
        return 1
    return 0


def _closing(folders: list[Path], quant: str) -> str:
    """How good the rounds are, and the next commands for the best, with the precision that this net can bear."""
    from portraitseg import checkpoint

    cards = {folder: checkpoint.read_card(folder / "best.h5") for folder in folders}
    folder = max(cards, key=lambda folder: cards[folder].metrics["miou"])
    rounds = [f"round {number}: {card.metrics['miou']:.2f}" for number, card in enumerate(cards.values(), 1)]
    return "\n".join(
        [
            *([f"\nvalidation mIoU of {', '.join(rounds)}"] if len(rounds) > 1 else []),
            f"\nbest validation mIoU {cards[folder].metrics['miou']:.2f}; look at {folder / 'sheet.png'} and {folder / 'curves.png'}",
            "next:",
            f"  python eval.py {folder / 'best.h5'}",
            f"  python export.py {folder / 'best.h5'} --quant {quant}",
            f"  python test.py PHOTO.jpg --model {folder / cards[folder].name}-{quant}.tflite",
        ]
    )
