"""Train a net that starts from another's checkpoint, layer by layer of the same name: to prune blocks and go on, or to train longer.

    python benchmarks/continue_training.py runs/deep/best.h5 --arch portrait_nano_m --data PORTRAITS --epochs 4 --lr 5e-4 --name pruned

Takes all flags of train.py. A layer that the checkpoint lacks, or that has another shape there, is refused; layers that only the
checkpoint has are left out and named.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import h5py
import tyro

from portraitseg.errors import InputError
from portraitseg.quiet import load_tensorflow
from portraitseg.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Config(TrainConfig):
    """Settings of the training, and where it starts."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """Weights to start from (.h5)."""


def main(config: Config) -> None:
    """Fill the net, train, say how it went."""
    load_tensorflow()
    from portraitseg.data.sources import open_data
    from portraitseg.training.trainer import Trainer

    folder = config.out / (config.name or f"{config.arch}-continued")
    if folder.exists():
        raise InputError(f"{folder} exists already; choose another --name")
    trainer = Trainer(config, open_data(config.data, config.val, seed=config.seed), folder)
    with h5py.File(config.checkpoint, "r") as file:
        found = {name: [group[key][()] for key in group.attrs["weight_names"]] for name, group in file.items()}
    wanted = [layer for layer in trainer.model.layers if layer.weights]
    for layer in wanted:
        if [value.shape for value in found.get(layer.name, [])] != [tuple(weight.shape) for weight in layer.weights]:
            raise InputError(f"{config.checkpoint} has no layer {layer.name} of that shape")
        layer.set_weights(found[layer.name])
    left = sorted({name for name, values in found.items() if values} - {layer.name for layer in wanted})
    print(f"{len(wanted)} layers filled; left out: {', '.join(left) or 'none'}")
    config.save(folder / "config.json")
    card = trainer.fit()
    print(f"best validation mIoU {card.metrics['miou']:.2f}, {trainer.best}")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
