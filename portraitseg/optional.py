"""Packages that only some users need: imported where they are used, with the pip line when they are missing."""

import importlib
from typing import Any


def require(module: str, *, extra: str) -> Any:
    """Import `module`, which comes with the extra `extra`.

    Raises:
        ImportError: with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(missing(error, extra=extra)) from error


def missing(error: ModuleNotFoundError, *, extra: str) -> str:
    """What to do about a package that is not installed and comes with the extra `extra`."""
    return (
        f'this needs the Python package "{error.name}", which is not installed; '
        f'install it with: pip install -c constraints.txt -e ".[{extra}]"'
    )
