"""Open a .tflite that nobody vouches for in a process of its own first: LiteRT does not survive every damaged or hostile file."""

import subprocess
import sys
from pathlib import Path

from portraitseg.errors import InputError

SECONDS = 10.0
"""How long opening the file and running it once may take."""
MEMORY = 4 * 2**30
"""Address space of the process, in bytes; a file may ask for tensors of any size."""
CHILD = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), -1))
except ImportError:
    pass
from ai_edge_litert.interpreter import Interpreter, OpResolverType
for options in ({}, {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}):
    try:
        interpreter = Interpreter(sys.argv[1], num_threads=1, **options)
        interpreter.allocate_tensors()
        interpreter.invoke()
        break
    except (RuntimeError, ValueError):
        continue
"""
"""What LiteRT itself refuses is no matter: it will be refused again, with its message."""


def probe(path: Path) -> None:
    """Open `path` and run it once elsewhere; about 0.4 s.

    Raises:
        InputError: the process crashed, or was not done in time.
    """
    command = [sys.executable, "-c", CHILD, str(path.resolve()), str(MEMORY)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path} was not opened and run within {SECONDS:g} s, and no card vouches for it; a slow model of yours needs a card (.json) "
            "with the file's sha256 beside it"
        ) from error
    if done.returncode:
        reason = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise InputError(f"LiteRT crashes on {path} ({reason}): the file is damaged or hostile; copy it again or export it again")
