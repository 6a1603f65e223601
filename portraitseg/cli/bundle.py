"""Put an artifact into one .zip with its card, labels, licence, a sample with the mask that it must give, and an example that runs it.

Whoever gets the .zip needs nothing of ours: the example in it takes the runtime alone. `test.py --model X.zip` and `eval.py X.zip` take
it as it is. See docs/bundles.md.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from portraitseg.files import atomic, refuse_existing


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `portraitseg bundle`."""

    model: Annotated[Path, tyro.conf.Positional]
    """An artifact with its card."""
    out: Path | None = None
    """The .zip (default: beside the artifact, with its name)."""
    force: bool = False
    """Overwrite an existing .zip."""


def run(config: Config) -> int:
    """Write the bundle.

    Raises:
        InputError: the artifact cannot be bundled, or the .zip exists.
    """
    path = config.out or config.model.with_name(f"{config.model.name.removesuffix('.tflite')}.zip")
    refuse_existing(path, force=config.force)
    from portraitseg.export import bundle

    content = bundle.make(config.model)
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    print(f"wrote {path} ({len(content) / 1e6:.1f} MB)")
    return 0
