"""Open a file that no card vouches for in a process of its own first: native libraries do not survive every hostile file."""

import subprocess
import sys
from pathlib import Path

from portraitseg.errors import InputError

SECONDS = 10.0
"""How long opening the file and running it once may take."""
MEMORY = 4 * 2**30
"""Address space of the process, in bytes; a file may ask for tensors of any size."""
LIMIT = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), -1))
except ImportError:  # Windows
    pass
"""
CHILDREN = {
    "tflite": """
from ai_edge_litert.interpreter import Interpreter, OpResolverType
for options in ({}, {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}):
    try:
        interpreter = Interpreter(sys.argv[1], num_threads=1, **options)
        interpreter.allocate_tensors()
        interpreter.invoke()
        break
    except (RuntimeError, ValueError) as error:
        print(error)
""",
    "mediapipe": """
import numpy
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageSegmenterOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), output_confidence_masks=True)
vision.ImageSegmenter.create_from_options(options).segment(Image(ImageFormat.SRGB, numpy.zeros((64, 64, 3), numpy.uint8)))
""",
    "keras": """
import h5py
def read(name, item):
    list(item.attrs.items())
    if isinstance(item, h5py.Dataset):
        item[()]
with h5py.File(sys.argv[1], "r") as file:
    file.visititems(read)
""",
}
"""Module of this package that opens the file -> what is done to try it. An exception is no matter: it will be raised here too."""


def check(path: Path, module: str) -> None:
    """Open `path` and run it once elsewhere, if `module` is one of `CHILDREN`; takes about 0.4 s.

    Raises:
        InputError: the process crashed, or was not done in time.
    """
    child = CHILDREN.get(module)
    if child is None:
        return
    command = [sys.executable, "-c", LIMIT + child, str(path.resolve()), str(MEMORY)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path} was not opened and run within {SECONDS:g} s, and no card vouches for it; if it is slow but yours, give its card "
            "(.json) the file's sha256"
        ) from error
    if done.returncode not in (0, 1):  # 1: an exception
        reason = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise InputError(f"the library crashes on {path} ({reason}): the file is damaged or hostile; copy it again or export it again")
