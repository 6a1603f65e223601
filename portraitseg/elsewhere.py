"""A few lines of Python in a process of their own: native libraries do not survive every damaged or hostile file."""

import signal
import subprocess
import sys
from pathlib import Path

from portraitseg.errors import InputError

SECONDS = 8
"""Processor time for a small file; the clock's would refuse good files on a busy machine."""
RATE = 20e6
"""Bytes of a file that may take a second more."""
PATIENCE = 10
"""Times as long by the clock, for what waits without computing."""
MEMORY = 4 * 2**30
"""Address space of the process, in bytes; a file may claim to be of any size."""
LIMIT = f"""
import resource
import sys
seconds = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, -1))
"""


def run(code: str, path: Path, *arguments: str) -> str | None:
    """Run `code`, which finds `path` and `arguments` in `sys.argv`.

    Returns:
        The exception that ended it, in one line; None if it ran to its end.

    Raises:
        InputError: the process crashed, or was not done in time.
    """
    seconds = int(SECONDS + path.stat().st_size / RATE)
    command = [sys.executable, "-c", LIMIT + code, str(seconds), str(path.resolve()), *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE * seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(_too_slow(path, seconds)) from error
    if done.returncode == -signal.SIGXCPU:
        raise InputError(_too_slow(path, seconds))
    if done.returncode in (0, 1):
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        return lines[-1] if done.returncode else None
    reason = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise InputError(f"reading {path} ends the process ({reason}): the file is damaged or hostile; copy it again or make it again")


def _too_slow(path: Path, seconds: int) -> str:
    return (
        f"{path} was not read within {seconds} s of processor time: it is damaged or hostile, copy it again; if it is a slow model of "
        "yours, give its card (.json) the file's sha256"
    )
