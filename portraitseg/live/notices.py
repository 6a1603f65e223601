"""What the user should know although the run goes on."""

import sys
from collections.abc import Callable

Notice = Callable[[str], None]
"""Takes one line; a run with a progress bar or an overlay brings its own."""


def to_stderr(line: str) -> None:
    """The notice of runs that have nothing better."""
    print(f"notice: {line}", file=sys.stderr, flush=True)
