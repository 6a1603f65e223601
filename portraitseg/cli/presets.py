"""List the published recipes that `train --preset NAME` takes, or show one: its source, what it changes, and what it leaves out.

With a second name the settings in which the two recipes differ.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from portraitseg.training.config import TrainConfig
from portraitseg.training.presets import PRESETS, difference, find


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of `portraitseg presets`."""

    name: Annotated[str, tyro.conf.Positional] = ""
    """The recipe to show; all are listed if it is left out."""
    other: Annotated[str, tyro.conf.Positional] = ""
    """A recipe to compare it with (default: the settings without a preset)."""


def run(config: Config) -> int:
    """Print the list, or one recipe.

    Raises:
        InputError: there is no such recipe.
    """
    print("\n".join(_show(config) if config.name else _list()))
    return 0


def _list() -> list[str]:
    width = max(map(len, PRESETS))
    return [*(f"{name:<{width}}  {preset.source}" for name, preset in PRESETS.items()), "", "portraitseg presets NAME shows one."]


def _show(config: Config) -> list[str]:
    preset = find(config.name)
    against = find(config.other).config if config.other else TrainConfig()
    title, word = (f"{config.name} against {config.other}", config.other) if config.other else (config.name, "default")
    rows = [(_flag(name), value, base) for name, (base, value) in difference(against, preset.config).items()]
    widths = [max(len(str(row[i])) for row in rows) for i in (0, 1)] if rows else [0, 0]
    table = [f"  {flag:<{widths[0]}}  {_text(value):<{widths[1]}}  ({word}: {_text(base)})" for flag, value, base in rows]
    return [title, f"source: {preset.source}", "", *table, "", *(f"- {note}" for note in preset.notes)]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _text(value: Any) -> str:
    return "none" if value in (None, "") else str(value)
