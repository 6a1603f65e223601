"""Train a net that fits a person's colours to the scene behind, on pictures with masks, and export it as .tflite, float and int8.

Each picture is shown with its person recoloured (exposure, white balance, gamma, contrast, saturation), and the net learns the tone
curves and the colour matrix that undo it. `portraitseg live --harmonizer FILE.tflite` applies them.
"""

import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path

from portraitseg.errors import InputError
from portraitseg.quiet import load_tensorflow
from portraitseg.training.harmonizer_config import HarmonizerConfig


@dataclass(frozen=True, kw_only=True)
class Config(HarmonizerConfig):
    """Settings of the run, and how it is started."""

    resume: Path | None = None
    """Go on with an interrupted run: its folder."""
    force: bool = False
    """Replace what is in --out."""


def run(config: Config) -> int:
    """Train, then export the best checkpoint."""
    settings = _settings(config)
    load_tensorflow()
    from portraitseg.data.sources import open_data
    from portraitseg.export.harmonizer import export
    from portraitseg.training.harmonizer import HarmonizerTrainer

    dataset = open_data(settings.data, settings.val, seed=settings.seed)
    print("\n".join(dataset.report))
    trainer = HarmonizerTrainer(settings, dataset, resume=config.resume is not None)
    if config.resume is None:
        _clear(settings.out)
        settings.save()
    try:
        card = trainer.fit()
    except KeyboardInterrupt:
        print(f"\nsaved after epoch {trainer.progress.epoch}. To go on: portraitseg harmonizer --resume {settings.out}")
        return 130
    files = [export(trainer.best, settings.out, quant, trainer.train) for quant in ("fp32", "int8")]
    print(f"best error of the person {card.metrics['val_person_mse']:.1f}, before {card.metrics['val_person_mse_before']:.1f}")
    print("\n".join(f"{file}  {file.stat().st_size / 1024:.0f} KB" for file in files))
    return 0


def _settings(config: Config) -> HarmonizerConfig:
    """The run's settings.

    Raises:
        InputError: one is out of range; the folder holds something already; or --resume came with other settings.
    """
    given = {item.name: getattr(config, item.name) for item in fields(HarmonizerConfig)}
    if config.resume is not None:
        changed = [name for name, value in given.items() if value != getattr(HarmonizerConfig(), name)]
        if changed:
            flags = ", ".join("--" + name.replace("_", "-") for name in changed)
            raise InputError(f"--resume goes on with the run's own settings; leave out {flags}")
        return HarmonizerConfig.load(config.resume)
    settings = HarmonizerConfig(**given)
    settings.check()
    if settings.out.exists() and any(settings.out.iterdir()) and not config.force:
        raise InputError(
            f"{settings.out} exists already; go on with --resume {settings.out}, replace it with --force, or give another --out"
        )
    names = settings.data_names or (("synthetic portraits",) if settings.data is None else (settings.data.resolve().name,))
    return replace(settings, data_names=names)


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
