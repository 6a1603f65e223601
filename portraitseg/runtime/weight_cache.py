"""LiteRT with XNNPACK's weight cache: the packed weights of a .tflite lie in a file, which later starts map instead of packing anew."""

import importlib.metadata
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from portraitseg.errors import InputError, one_line
from portraitseg.image import Array
from portraitseg.parts import sha256
from portraitseg.quiet import quiet
from portraitseg.runtime.tflite import check_identifier, tensor


class Cached:
    """A .tflite run by LiteRT's CompiledModel, the one of its interfaces that has the cache."""

    def __init__(self, path: Path, threads: int, cache: Path) -> None:
        """See `open_engine`."""
        from ai_edge_litert.compiled_model import CompiledModel, CpuOptions, HardwareAccelerator, Options
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        plain = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        self.inputs, ends = [tensor(detail) for detail in plain.get_input_details()], plain.get_output_details()
        self.outputs = [tensor(detail) for detail in ends]
        processor = CpuOptions(num_threads=threads, xnnpack_weight_cache_path=str(cache))
        with quiet():
            model = CompiledModel.from_file(
                str(path), options=Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=processor)
            )
            signature, (key, *_) = model.get_signature_by_index(0), model.get_signature_list()
            places = [model.get_output_tensor_details(key)[name]["index"] for name in signature["outputs"]]
            self._held = [model, model.create_input_buffers(0), model.create_output_buffers(0)]
            self._order = [places.index(end["index"]) for end in ends]
            self(np.zeros(self.inputs[0].shape, self.inputs[0].dtype), 0)  # LiteRT reports more when it first runs
        weakref.finalize(self, _release, self._held)

    def __call__(self, x: Array, output: int) -> Array:
        """See `Engine`."""
        model, sources, targets = self._held
        sources[0].write(x)
        model.run_by_index(0, sources, targets)
        found = self.outputs[output]
        return np.asarray(targets[self._order[output]].read(int(np.prod(found.shape)), found.dtype)).reshape(found.shape)


def open_engine(path: Path, threads: int, folder: Path) -> Cached:
    """Open a .tflite with the cache that `folder` has for it, or make it.

    XNNPACK does not look whether a cache was made from this file; so its name holds the file's digest, and LiteRT's version.

    Raises:
        InputError: the file is no .tflite, LiteRT cannot open it, or the folder cannot be written to.
    """
    check_identifier(path)
    cache = folder / f"{sha256(path)[:32]}-{importlib.metadata.version('ai-edge-litert')}.xnnpack"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Cached(path, threads, cache)
    except OSError as error:
        raise InputError(f"cannot keep XNNPACK's weights in {folder}: {error.strerror}; choose another folder") from error
    except (RuntimeError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"LiteRT cannot open {path} with a weight cache: {one_line(error)}; leave the cache out") from error


def _release(held: list[Any]) -> None:
    """Let the model go, which LiteRT reports line by line."""
    with quiet():
        held.clear()
