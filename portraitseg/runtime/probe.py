"""Open a file that no card vouches for in a process of its own first: native libraries do not survive every hostile file."""

from pathlib import Path

from portraitseg import elsewhere
from portraitseg.errors import InputError
from portraitseg.parts import parts
from portraitseg.runtime.tflite import check_identifier

CHILDREN = {
    "tflite": """
from ai_edge_litert.interpreter import Interpreter, OpResolverType
def run(**options):
    interpreter = Interpreter(sys.argv[1], num_threads=1, **options)
    interpreter.allocate_tensors()
    interpreter.invoke()
try:
    run()
except (RuntimeError, ValueError):
    run(experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
""",
    "mediapipe": """
import numpy
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageSegmenterOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), output_confidence_masks=True)
vision.ImageSegmenter.create_from_options(options).segment(Image(ImageFormat.SRGB, numpy.zeros((64, 64, 3), numpy.uint8)))
""",
    "openvino": """
import numpy, openvino
core = openvino.Core()
net = core.compile_model(core.read_model(sys.argv[1]), "CPU", {"INFERENCE_NUM_THREADS": 1})
shapes = [[side.get_length() if side.is_static else 1 for side in end.partial_shape] for end in net.inputs]
net([numpy.zeros(shape, end.element_type.to_dtype()) for shape, end in zip(shapes, net.inputs)])
""",
}
"""Module of this package that opens the file -> what is done to try it."""


def check(path: Path, module: str) -> None:
    """Open `path` and run it once elsewhere, if `module` is one of `CHILDREN`; takes about 0.4 s.

    Raises:
        InputError: the file cannot be opened or run there, where memory is limited; the process crashed, or was not done in time.
    """
    if module == "tflite":
        check_identifier(path)  # which says it better than the library
    elif module == "openvino":
        parts(path)
    complaint = elsewhere.run(CHILDREN[module], path) if module in CHILDREN else None
    if complaint and not complaint.startswith("ModuleNotFoundError"):  # the library itself is missing, which is said elsewhere
        compiled = ", or give the file from before the Edge TPU's compiler" if module == "tflite" else ""
        raise InputError(f"cannot open {path}: {complaint}; copy it again, or export it again{compiled}")
