"""Coral's `edgetpu_compiler`, where it is installed: called on a copy, its table of ops read and held against our verdict."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portraitseg.export.delegates.report import Report

PROGRAM = "edgetpu_compiler"
MAPPED = "Mapped to Edge TPU"
LIMIT = 300
"""Seconds; its own time limit is 180."""
ROW = re.compile(r"^\s*([A-Za-z][\w-]*)\s+(\d+)\s{2,}(\S.*?)\s*$")
VERSION = re.compile(r"Edge TPU Compiler version (\S+)")
ERROR = re.compile(
    r"^(ERROR: .+|Internal compiler error.*|Invalid model.*|Compilation failed.*|Compilation child process.*)$", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Log:
    """What the compiler said."""

    version: str
    """Empty: it did not say."""
    rows: Mapping[tuple[str, str], int]
    """Op and status -> how often."""
    error: str = ""
    """Why there is no table."""

    @property
    def mapped(self) -> Counter[str]:
        """Op -> how often it runs on the Edge TPU."""
        found: Counter[str] = Counter()
        for (name, status), count in self.rows.items():
            if status == MAPPED:
                found[name] += count
        return found

    @property
    def whole(self) -> bool:
        """Whether every op runs on the Edge TPU."""
        return bool(self.rows) and not self.error and all(status == MAPPED for _, status in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        rows = [{"op": name, "count": count, "status": status} for (name, status), count in self.rows.items()]
        return {"version": self.version, "whole": self.whole, "error": self.error, "rows": rows}


def compile_file(path: Path) -> Log | None:
    """Compile a copy of `path` in a temporary folder; None where the compiler is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="edgetpu-") as folder:
        copy = Path(folder) / "model.tflite"
        shutil.copyfile(path, copy)
        command = [program, "--show_operations", "--out_dir", folder, str(copy)]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return Log(version="", rows={}, error=f"no answer within {LIMIT} s")
        except OSError as error:
            return Log(version="", rows={}, error=f"it cannot be started: {error.strerror}")
        log = parse(f"{done.stdout}\n{done.stderr}")
    if log.rows or log.error:
        return log
    return Log(version=log.version, rows={}, error=f"it ended with exit code {done.returncode} and no table of operations")


def parse(text: str) -> Log:
    """Read the compiler's output or its log file: the rows below "Operator  Count  Status", and errors."""
    rows: Counter[tuple[str, str]] = Counter()
    _, heading, table = text.partition("Operator ")
    for line in table.splitlines()[1:] if heading else []:
        found = ROW.match(line)
        if found:
            rows[found[1], found[3]] += int(found[2])
    version, error = VERSION.search(text), ERROR.search(text)
    return Log(version=version[1] if version else "", rows=rows, error="" if rows or not error else error[1])


def compare(log: Log, report: Report) -> list[str]:
    """Where the compiler and our verdict differ, op by op."""
    title = f"{PROGRAM} {log.version}".strip()
    if log.error:
        return [f"{title} failed: {log.error}{' (expected)' if report.refused else ', which was not expected'}"]
    names = {op.index: op.name for op in report.ops}
    ours, theirs = Counter(names[index] for index in report.taken), log.mapped
    lines = [f"{title}: maps {theirs.total()} of {sum(log.rows.values())} ops"]
    for name in sorted({*ours, *theirs}):
        if ours[name] != theirs[name]:
            why = ", ".join(f"{count}: {status}" for (op, status), count in log.rows.items() if op == name and status != MAPPED)
            lines.append(f"differs: {name}: {theirs[name]} mapped, we said {ours[name]}{f' ({why})' if why else ''}")
    return lines if len(lines) > 1 else [*lines, "no difference to the verdict above"]
