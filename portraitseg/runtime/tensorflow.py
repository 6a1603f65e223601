"""TensorFlow, for the files that need it; imported only when one is opened."""

import os
import sys
from typing import Any

from portraitseg.quiet import load_tensorflow


def start(threads: int) -> Any:
    """TensorFlow with so many threads; they are the whole process's, and once it has computed something they stay what they are.

    Raises:
        ImportError: TensorFlow is not installed.
    """
    tf = load_tensorflow()
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        running = threading.get_intra_op_parallelism_threads() or os.cpu_count()  # 0: all
        if running != threads:
            print(f"notice: TensorFlow runs with {running} threads already, not with {threads}", file=sys.stderr)
    return tf
