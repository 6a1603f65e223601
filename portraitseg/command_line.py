"""Settings -> the line that a person types to give them."""

import shlex
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Any


def command_line(command: str, settings: Any, plain: Any, *, without: Collection[str] = ()) -> str:
    """A command with the flags that make `settings` of `plain`, the same on every machine: of paths the last part alone.

    Args:
        command: the words before the flags, such as "python train.py".
        settings: a dataclass whose fields are the command's flags.
        plain: the settings without any flag, of the same class or of one that it is made from; its fields are looked at.
        without: fields to pass over.
    """
    pairs = [(item.name, getattr(settings, item.name)) for item in fields(plain) if item.name not in without]
    flags = [word for name, value in pairs if value != getattr(plain, name) for word in _flag(name, value)]
    return " ".join([command, shlex.join(flags)]).strip()


def without_folder(value: Any) -> Any:
    """The last part of a path, or of each in a list; anything else as it is."""
    if isinstance(value, list | tuple):
        return [without_folder(item) for item in value]
    if isinstance(value, Path):
        return value.name
    return Path(value).name if isinstance(value, str) and ("/" in value or "\\" in value) else value


def _flag(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    values = value if isinstance(value, list | tuple) else [value]
    return [f"--{flag}", *(str(item) for item in without_folder(list(values)))]
