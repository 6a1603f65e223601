"""A few lines of Python in a process of their own: native libraries do not survive every damaged or hostile file."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from portraitseg.errors import InputError

SECONDS = 8
"""Processor time for a small file; the clock's would refuse good files on a busy machine."""
RATE = 20e6
"""Bytes of a file that may take a second more."""
PATIENCE = 10
"""Times as long by the clock."""
IDLE = 8
"""Seconds by the clock in which the process must have computed at all: even on a busy machine one that does not is waiting for nothing."""
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
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        complaint = _last_words(process, PATIENCE * seconds)
    status = process.returncode
    if complaint is None or status == -signal.SIGXCPU:
        raise InputError(
            f"{path} was not read within {seconds} s of processor time, or the library waited {IDLE} s for nothing: it is damaged or "
            "hostile, copy it again; if it is a slow model of yours, give its card (.json) the file's sha256"
        )
    if status in (0, 1):
        return (complaint.strip().splitlines() or ["no message"])[-1] if status else None
    reason = f"signal {-status}" if status < 0 else f"exit code {status}"
    raise InputError(f"reading {path} ends the process ({reason}): the file is damaged or hostile; copy it again or make it again")


def _last_words(process: subprocess.Popen[bytes], seconds: float) -> str | None:
    """What a process wrote to its stderr; None if it was killed, because it took too long or did nothing."""
    start = moved = time.monotonic()
    used = -1
    while time.monotonic() < min(start + seconds, moved + IDLE):
        try:
            return process.communicate(timeout=0.5)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            now = _ticks(process.pid)
            if now != used:
                used, moved = now, time.monotonic()
    process.kill()
    return None


def _ticks(pid: int) -> int:
    """Processor time that a child has used, in the kernel's ticks (proc_pid_stat(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
