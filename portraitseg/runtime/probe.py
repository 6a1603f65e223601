"""Open a file that no card vouches for in a process of its own first: native libraries do not survive every hostile file."""

from pathlib import Path

from portraitseg import elsewhere

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
}
"""Module of this package that opens the file -> what is done to try it. An exception is no matter: it will be raised here too."""


def check(path: Path, module: str) -> None:
    """Open `path` and run it once elsewhere, if `module` is one of `CHILDREN`; takes about 0.4 s.

    Raises:
        InputError: the process crashed, or was not done in time.
    """
    if module in CHILDREN:
        elsewhere.run(CHILDREN[module], path)
