"""Opens mutated files, each in a forked process of its own, and tells what happened: hostile.py KIND FOLDER COUNT SEED.

FOLDER holds the good file (and its card, where it has one); the mutated ones that did harm are left there. Prints one line of JSON.

What the package itself does in a process of its own (portraitseg/elsewhere.py) is forked here too instead of starting Python anew: the same
lines run under the same limits, in a twentieth of the time.
"""

import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import h5py  # noqa: F401 - so that no fork has to load it
import numpy as np

from portraitseg import elsewhere, hdf5, image
from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.runtime import open_artifact

SIZES = (0, 1, 2**7, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 16, 2**32 - 1)
VALUES = ("null", "-1", "1e999", "NaN", "[]", "{}", '""', '"x"', "9" * 30, "[" * 50 + "]" * 50, "true", "1e-320", "[1, 2, 3, 4]", "32768")
NAMES = (b"../", b"/etc/", b"..\\", b"C:/x", b"\0\0\0", b"x/../", b"net/../", b"net/..", b"//", b"~/.")
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)


def mutations(content, count, seed):
    """Flipped bytes, cut ends, parts copied elsewhere, sizes that lie, parts taken out and put in."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        data, at = bytearray(content), int(rng.integers(len(content)))
        length = int(rng.integers(1, 64))
        match number % 6:
            case 0:
                for place in rng.integers(0, len(data), int(rng.integers(1, 9))):
                    data[place] ^= int(rng.integers(1, 256))
            case 1:
                del data[at:]
            case 2:
                source = int(rng.integers(len(content)))
                data[at : at + length] = content[source : source + length]
            case 3:
                width = int(rng.choice([2, 4, 8]))
                place = at // width * width
                data[place : place + width] = (int(rng.choice(SIZES)) % 256**width).to_bytes(width, "little")
            case 4:
                del data[at : at + length]
            case 5:
                data[at:at] = rng.bytes(length)
        yield bytes(data)


def mutated_json(content, count, seed):
    """As above, and every second one with values that fit no field."""
    rng = np.random.default_rng(seed)
    whole = json.loads(content)
    for number, data in enumerate(mutations(content, count, seed)):
        if number % 2:
            yield data
        else:
            marks = {key: f"@{key}@" if rng.random() < 0.2 else value for key, value in whole.items()}
            text = json.dumps(marks)
            for key in whole:
                text = text.replace(f'"@{key}@"', str(rng.choice(VALUES)))
            yield text.encode()


def mutated_zip(content, count, seed):
    """As above, and every second one with a name of the same length that leads elsewhere."""
    rng = np.random.default_rng(seed)
    names = [b"net/labels.txt", b"net/run.py", b"net/net.tflite", b"net/SHA256SUMS"]
    for number, data in enumerate(mutations(content, count, seed)):
        if number % 2:
            yield data
        else:
            name, start = names[rng.integers(len(names))], NAMES[rng.integers(len(NAMES))]
            yield content.replace(name, start + name[len(start) :], int(rng.integers(1, 3)))


def run_artifact(path):
    open_artifact(path)(PICTURE)


def read_card(path):
    """The card of a good file."""
    card = Card.load(path)
    open_artifact(path.with_name("good.tflite"), card=card)(PICTURE)


KINDS = {
    ".tflite": (mutations, run_artifact),
    ".h5": (mutations, hdf5.read),
    ".json": (mutated_json, read_card),
    ".zip": (mutated_zip, run_artifact),
    ".jpg": (mutations, image.read),
    ".png": (mutations, image.read_mask),
}


def forked(command, **_):
    """`subprocess.run` of a Python command, by a fork."""
    with tempfile.TemporaryFile() as log:
        pid = os.fork()
        if not pid:
            os.dup2(log.fileno(), 2)
            sys.argv = ["-c", *command[3:]]
            try:
                exec(command[2], {"__name__": "__main__"})
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        log.seek(0)
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status), b"", log.read())


def attempt(act, path):
    """What becomes of a file, and the seconds of processor time that it took."""
    pid = os.fork()
    if not pid:
        code = 0
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            act(path)
        except InputError:
            code = 10
        except BaseException:
            Path(f"{path}.txt").write_text(traceback.format_exc())
            code = 11
        os._exit(code)
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    names = {0: "opened", 10: "refused", 11: "raised"}
    return names.get(code, f"crashed ({signal.Signals(-code).name if code < 0 else code})"), usage.ru_utime + usage.ru_stime


def main():
    suffix, folder, count, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    mutate, act = KINDS[suffix]
    good = next(folder.glob(f"*{suffix}"))
    act(good)  # which also loads LiteRT, so that no fork has to
    elsewhere.subprocess.run = forked
    counts, harmful, slowest = collections.Counter(), {}, 0.0
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(folder, work, dirs_exist_ok=True)
        path = Path(work) / f"mutated{suffix}"
        for number, content in enumerate(mutate(good.read_bytes(), count, seed)):
            path.write_bytes(content)
            before = set(Path(work).iterdir())
            outcome, seconds = attempt(act, path)
            counts[outcome], slowest = counts[outcome] + 1, max(slowest, seconds)
            if outcome not in ("opened", "refused") or seconds > 10 or set(Path(work).iterdir()) != before:
                harmful[number] = outcome
                shutil.copy(path, folder / f"harmful-{number}{suffix}.bin")
    print(json.dumps({"counts": counts, "harmful": harmful, "slowest": round(slowest, 1)}))


if __name__ == "__main__":
    main()
