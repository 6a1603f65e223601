"""What the activations of a net, or of a float .tflite file, hold over the calibration set: ends, means by channel, histograms."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from portraitseg.errors import InputError
from portraitseg.quantization.post_training.limits import Limits, limits, within
from portraitseg.quantization.post_training.tflite_graph import Float32, TFLiteGraph, layers_of

Key = TypeVar("Key", bound=Hashable)

BINS = 2048
"""Of a histogram: eight to an int8 step where nothing is cut off."""


@dataclass(kw_only=True)
class Statistics:
    """One tensor over all pictures."""

    lows: list[float] = field(default_factory=list)
    """Smallest value, picture by picture."""
    highs: list[float] = field(default_factory=list)
    sums: Any = 0.0
    """(C,), of each picture's mean over its pixels."""
    squares: Any = 0.0
    """(C,), as `sums`, of the values' squares."""
    peaks: Any = 0.0
    """(C,), largest |value| of each channel over all pictures."""
    counts: Any = None
    """(BINS,) of equal width from `low` to `high`; None where no histogram was asked for or the tensor is constant."""

    @property
    def low(self) -> float:
        """Over all pictures."""
        return min(self.lows)

    @property
    def high(self) -> float:
        """Over all pictures."""
        return max(self.highs)

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """(C,), of each channel over all pixels and pictures."""
        return np.asarray(self.sums / len(self.lows), np.float64)

    @property
    def powers(self) -> npt.NDArray[np.float64]:
        """(C,), the mean square of each channel."""
        return np.asarray(self.squares / len(self.lows), np.float64)


def collect(content: bytes, pictures: Iterable[Float32], *, histograms: bool = False) -> dict[int, Statistics]:
    """Run a float file on the calibration set, twice where histograms are asked for (their ends must be known first).

    Values beyond an activation's `limits` count as these.

    Args:
        content: of the .tflite file, with one input.
        pictures: inputs (1,h,w,C), the same ones each time they are asked for.
        histograms: whether to count values too.

    Returns:
        Tensor's number -> its statistics.

    Raises:
        InputError: the net gives NaN or infinity.
    """
    flat, interpreter = TFLiteGraph(content), open_preserving(content)
    return gather(
        flat.activations(),
        partial(_runs, interpreter, pictures, limits(flat)),
        lambda index: layers_of(flat.name(index))[0],
        histograms=histograms,
    )


def gather(
    keys: Iterable[Key], runs: Callable[[Sequence[Key]], Iterable[Mapping[Key, Float32]]], layer: Callable[[Key], str], *, histograms: bool
) -> dict[Key, Statistics]:
    """Statistics of tensors.

    Args:
        keys: the tensors.
        runs: gives the values of some of them, picture by picture, the same each time it is asked.
        layer: the name of a tensor's layer, for messages.
        histograms: whether to count values too, which takes the runs twice.

    Raises:
        InputError: a value is NaN or infinity.
    """
    found = {key: Statistics() for key in keys}
    for values in runs(list(found)):
        for key, value in values.items():
            _measure(found[key], value, layer(key))
    spread = [key for key, statistics in found.items() if histograms and statistics.low < statistics.high]
    for key in spread:
        found[key].counts = np.zeros(BINS)
    if spread:
        for values in runs(spread):
            for key, value in values.items():
                found[key].counts += _histogram(value, found[key])
    return found


def open_preserving(content: bytes) -> Any:
    """An interpreter whose tensors all keep their values after a run: the built-in kernels, since a delegate keeps its own to itself."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    return interpreter


def _runs(
    interpreter: Any, pictures: Iterable[Float32], bounds: Mapping[int, Limits], indices: Sequence[int]
) -> Iterator[dict[int, Float32]]:
    """The values of the tensors `indices`, picture by picture, within bounds."""
    source = interpreter.get_input_details()[0]["index"]
    for x in pictures:
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        yield {index: within(interpreter.get_tensor(index), bounds.get(index)) for index in indices}


def _measure(statistics: Statistics, value: Float32, layer: str) -> None:
    low, high = float(value.min()), float(value.max())
    if not np.isfinite(low + high):
        raise InputError(f"layer {layer} gives NaN or infinity on the calibration pictures; train the net again")
    statistics.lows.append(low)
    statistics.highs.append(high)
    pixels = value.reshape(-1, value.shape[-1] if value.ndim else 1)
    statistics.sums = statistics.sums + pixels.mean(0, dtype=np.float64)
    statistics.squares = statistics.squares + np.square(pixels).mean(0, dtype=np.float64)
    statistics.peaks = np.maximum(statistics.peaks, np.abs(pixels).max(0))


def _histogram(value: Float32, statistics: Statistics) -> npt.NDArray[np.float64]:
    """By OpenCV, in a third of the time of NumPy's; its upper end is open, so it is moved one step up."""
    ends = [statistics.low, float(np.nextafter(np.float32(statistics.high), np.float32(np.inf)))]
    return np.asarray(cv2.calcHist([value.reshape(-1, 1)], [0], None, [BINS], ends), np.float64).ravel()
