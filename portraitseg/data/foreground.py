"""The colours of a person without the background that shines through their edge."""

import importlib.util
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from portraitseg import optional
from portraitseg.image import Float32, UInt8

RIM = 1 / 160  # share of the longer side by which masks are often too wide
ENOUGH = 0.02  # share of trusted pixels around that it takes to go by them


class Foreground:
    """Estimates foreground colours with pymatting's multi-level method (Germer 2020, arXiv:2006.14970). Thread-safe."""

    def __init__(self) -> None:
        """Load pymatting's estimate: a second, or four where it has to be compiled first."""
        self._estimate, self._numba = _load()
        self._lock: AbstractContextManager[Any] = nullcontext()
        self._run(np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.float32))
        if self._numba.threading_layer() == "workqueue":  # where there is no OpenMP; it ends the process when two threads meet in it
            self._lock = Lock()

    def __call__(self, image: UInt8, mask: UInt8) -> Float32:
        """Estimate the person's colours.

        A mask that is a little too wide keeps a rim of the old background, which no estimate can tell from the person. So within a step
        of the edge the colours go over into the mean of those further in.

        Args:
            image: RGB (H,W,3).
            mask: (H,W), 0 to 255.

        Returns:
            (H,W,3) in [0,1]; also where the mask is 0, where it goes on smoothly.
        """
        alpha = mask.astype(np.float32) / np.float32(255)
        colours = self._run(image.astype(np.float32) / np.float32(255), alpha)
        step = max(1, round(RIM * max(mask.shape)))
        inner = cv2.erode(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * step + 1, 2 * step + 1)))
        weight = cv2.GaussianBlur(inner, (0, 0), step)[..., None]
        mean = cv2.GaussianBlur(colours * inner[..., None], (0, 0), step) / (weight + 1e-6)
        return np.asarray(colours + (1 - inner[..., None]) * np.minimum(weight / ENOUGH, 1) * (mean - colours), np.float32)

    def _run(self, image: Float32, alpha: Float32) -> Float32:
        self._numba.set_num_threads(1)  # of this thread: the samples are the parallel work
        with self._lock:
            return np.asarray(self._estimate(image, alpha), np.float32)


@cache
def _load() -> tuple[Callable[..., Any], Any]:
    """The function of pymatting, and numba.

    Its module is run alone: `import pymatting` compiles every solver of the package, which takes 45 s of processor time the first time.
    """
    numba = optional.require("numba", extra="train")
    package = importlib.util.find_spec("pymatting")
    if package is None or package.origin is None:
        raise ImportError(optional.missing(ModuleNotFoundError(name="pymatting"), extra="train"))
    name = "pymatting.foreground.estimate_foreground_ml"
    path = Path(package.origin).parent / "foreground" / "estimate_foreground_ml.py"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing; reinstall pymatting")
    if name not in sys.modules:
        module = sys.modules[name] = importlib.util.module_from_spec(spec)  # first: numba's cache on disk finds the module by this name
        spec.loader.exec_module(module)
    return sys.modules[name].estimate_foreground_ml, numba
