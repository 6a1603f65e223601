"""Keep native libraries' chatter from the terminal."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from portraitseg.errors import InputError
from portraitseg.optional import require


@contextmanager
def quiet() -> Iterator[TextIO]:
    """Catch what is written to stderr, by native code too, and give the real stderr, for a progress bar.

    If the block fails otherwise than by an InputError, which says it all, what was caught is printed after all.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as caught, os.fdopen(saved, "w", encoding="utf-8", errors="replace") as terminal:
        os.dup2(caught.fileno(), 2)
        try:
            yield terminal
        except InputError:
            raise
        except Exception:
            caught.seek(0)
            terminal.write(caught.read().decode(errors="replace"))
            raise
        finally:
            sys.stderr.flush()
            terminal.flush()
            os.dup2(saved, 2)


def load_tensorflow() -> Any:
    """TensorFlow, started without a word: on import, and when it first looks for devices, it logs what users need not know.

    Raises:
        ImportError: it is not installed; with the command that installs it.
    """
    with quiet():
        tensorflow = require("tensorflow", extra="train")
        tensorflow.config.list_physical_devices()
    return tensorflow
