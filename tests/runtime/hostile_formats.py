"""Opens and runs mutated forms of a model, all in this one process, which must live: hostile_formats.py MODEL COUNT SEED.

MODEL is one of those formats whose libraries are trusted to raise; those that are not are opened elsewhere first (tests/hostile.py).
Prints one line of JSON: how many ran, were refused, and would have been stopped for taking too long; and the most seconds of processor
time that another one took.
"""

import collections
import importlib.util
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from portraitseg.card import UNIT, Card
from portraitseg.errors import InputError
from portraitseg.parts import parts
from portraitseg.runtime import ENGINES, Artifact, kind, open_engine, probe

CARD = Card(arch="conv", wm=1.0, size=(32, 32), input=UNIT, output="prob")
LIMIT = 7
"""Seconds of processor time, a little less than what `elsewhere` allows."""


def load_mutations():
    spec = importlib.util.spec_from_file_location("hostile", Path(__file__).parents[1] / "hostile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.mutations


def attempt(path):
    try:
        Artifact(path, open_engine(path, 1), CARD)(np.zeros((32, 32, 3), np.uint8))
    except InputError:
        return "refused"
    return "ran"


def stopped(path):
    """Whether the process that opens a stranger's file first would have been ended."""
    try:
        probe.check(path, ENGINES[kind(path)])
    except InputError:
        return True
    return False


def main():
    model, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    assert attempt(model) == "ran"  # which also loads the library
    mutate, counts, slowest = load_mutations(), collections.Counter(), 0.0
    with tempfile.TemporaryDirectory() as work:
        copy = Path(work) / model.name
        files = [part for part in parts(model) if part.name != "fingerprint.pb"]  # which TensorFlow does not need
        for part in parts(model):
            target = copy / part.relative_to(model) if model.is_dir() else copy.with_name(part.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(part, target)
        for part in files:
            target = copy / part.relative_to(model) if model.is_dir() else copy.with_name(part.name)
            for content in mutate(part.read_bytes(), -(-count // len(files)), seed):
                target.write_bytes(content)
                start = time.process_time()
                outcome, seconds = attempt(copy), time.process_time() - start
                if seconds > LIMIT and stopped(copy):
                    outcome, seconds = "stopped", 0.0
                counts[outcome] += 1
                slowest = max(slowest, seconds)
            shutil.copy(part, target)
    print(json.dumps({**counts, "slowest": round(slowest, 2)}))


if __name__ == "__main__":
    main()
