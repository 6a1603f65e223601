"""Average the weights of nets that were trained on from the same one: often better than each, in the time of one.

Train several times from one checkpoint (`train.py --init CHECKPOINT` with other seeds, rates, augmentation or teachers), then average what
came out, and the start too. Each net and each mean is scored on pictures with masks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from portraitseg.card import card_path
from portraitseg.command_line import command_line
from portraitseg.errors import InputError
from portraitseg.files import refuse_existing
from portraitseg.quiet import load_tensorflow

BATCH, BATCHES = 16, 7
"""Pictures from which the batch normalisations get their statistics."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to average."""

    nets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Two or more float checkpoints (.h5), or float files of export.py, of one arch; the mean has the size of the first."""
    data: Path
    """Folder, CSV or shards of pictures with masks that none of them learned from; its validation part is used, if it has one."""
    greedy: bool = True
    """Take the best net, then in the order of their scores each that does the mean no harm; else all of them."""
    out: Path = Path("soup.h5")
    """Checkpoint to write; its card goes beside it."""
    force: bool = False
    """Overwrite it if it exists."""


def run(config: Config) -> int:
    """Score each, average, save.

    Raises:
        InputError: something given cannot be used.
    """
    _check(config)
    load_tensorflow()
    from portraitseg import checkpoint
    from portraitseg.data import pipeline
    from portraitseg.data.sources import find_source
    from portraitseg.encoders.folded.unfold import unfold
    from portraitseg.training import soup
    from portraitseg.training.validation import validate

    source, lines = find_source(config.data)
    print("\n".join(lines))
    model, weights, cards = soup.ingredients(config.nets)
    with tqdm(total=2 * len(weights) if config.greedy else len(weights) + 1, unit="net", leave=False) as bar:

        def score(indices: list[int]) -> dict[str, float]:
            model.set_weights(soup.mean([weights[index] for index in indices]))
            metrics = validate(model, cards[0], source)
            bar.update()
            name = f"mean of {len(indices)}, with {config.nets[indices[-1]]}" if len(indices) > 1 else config.nets[indices[0]]
            bar.write(f"  mIoU {metrics['miou']:.2f}  {name}")
            return metrics

        everyone = list(range(len(weights)))
        alone = [score([index])["miou"] for index in everyone]
        chosen = soup.greedy(alone, lambda indices: score(indices)["miou"]) if config.greedy else everyone
        taken = ", ".join(str(config.nets[index]) for index in chosen)
        if len(chosen) == 1:
            print(f"nothing written: each net that is averaged with {taken} harms it; --no-greedy averages all the same")
            return 1
        metrics = score(chosen)

    unfold(model, (x for _, x in pipeline.eval_batches(source, cards[0], batch=BATCH).take(BATCHES)), prefix="")
    words = " ".join(["portraitseg soup", *(path.name for path in config.nets)])
    line = command_line(words, config, Config(nets=(), data=Path()), without=("nets", "out", "force"))
    checkpoint.save(model, soup.card_of([cards[index] for index in chosen], line, metrics), config.out)
    print(f"{config.out}, mIoU {metrics['miou']:.2f}, of {taken}")
    return 0


def _check(config: Config) -> None:
    if len(config.nets) < 2:
        raise InputError(f"give two or more nets that were trained on from the same one, got {len(config.nets)}")
    if config.out.suffix != ".h5":
        raise InputError(f"--out must end in .h5, got {config.out}")
    for path in (config.out, card_path(config.out)):
        refuse_existing(path, force=config.force)
