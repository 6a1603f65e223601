"""`portraitseg benchmark --publish`: measure a folder's models, write it into their cards, make README and pictures from the cards."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from portraitseg.data.sources import find_source
from portraitseg.errors import InputError
from portraitseg.publish import accuracy, folder, measure, plots, readme

if TYPE_CHECKING:
    from portraitseg.cli.benchmark import Config

REFUSED = {
    "models": "the folder's own artifacts are measured; name no other files, or those of others by --beside FILE=RANGE",
    "threads": "1 and 2 threads are measured; leave out --threads",
    "input_range": "a file's range stands behind its name, --beside FILE=RANGE; leave out --input-range",
    "weight_cache": "time is measured without a cache; leave out --weight-cache",
    "engine": "each file is measured by its own library; leave out --engine",
    "out": "all is written into the folder; leave out --out",
    "force": "only figures are replaced; leave out --force",
}
"""Flag -> why it does not go with --publish."""


def check(config: "Config") -> None:
    """Refuse flags that do not go together.

    Raises:
        InputError: with the remedy.
    """
    if config.publish is None:
        if config.subsets or config.beside:
            raise InputError("--subsets and --beside go with --publish FOLDER; leave them out, or publish")
        return
    for name, reason in REFUSED.items():
        if getattr(config, name) != getattr(type(config)(), name):
            raise InputError(f"with --publish {reason}")
    if config.data is None and (config.subsets or config.beside):
        raise InputError("--subsets and --beside are for measuring; give --data PICTURES too, or leave them out to use what the cards say")


def run(config: "Config", target: Path) -> int:
    """Measure where there is --data; then write README and pictures from what the cards say."""
    readme.check(target / "README.md")  # now, not after the work
    if config.data is not None:
        source, report = find_source(config.data)
        print(*report, sep="\n")
        subsets = accuracy.read_subsets(config.subsets, source) if config.subsets else {}
        peers = dict(map(_peer, config.beside))
        found = measure.measure(folder.artifacts(target), peers, (_name(config.data), source), subsets, config, _progress)
        folder.save(found, target)
    published = folder.load(target)
    readme.write(published, target / "README.md")
    print(readme.text(published))
    plots.draw(published, target)
    print(f"\nwrote {target / 'README.md'} and its pictures from {len(published.models)} cards")
    return 0


def _peer(word: str) -> tuple[Path, str]:
    """FILE=RANGE."""
    path, equals, range_ = word.rpartition("=")
    if not equals or not Path(path).is_file():
        raise InputError(f"--beside takes FILE=RANGE with a file that is here, such as net.tflite=0..1, got {word}")
    return Path(path), range_


def _name(data: Path) -> str:
    """Of the set of pictures: its folder's, with the one above where that says a part alone."""
    path = data.resolve()
    return f"{path.parent.name}/{path.name}" if path.name in ("train", "val", "test") else path.name


def _progress(items: Any, what: str) -> Any:
    return tqdm(items, what, leave=False)
