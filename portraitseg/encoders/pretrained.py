"""Pretrained weights onto our encoders: keras.applications', a Keras .h5 file with its layer names, or a folded .tflite or .onnx file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tf_keras as keras

from portraitseg import hdf5
from portraitseg.card import InputSpec
from portraitseg.encoders import ENCODERS, input_range
from portraitseg.encoders.folded import match
from portraitseg.errors import InputError

PREFIX = "enc_"
EXPAND = "expanded_conv_expand"
"""The first expansion of PortraitNet's MobileNetV2, 1x1 to as many channels, which no published weights have: starts as the identity."""
_Weights = dict[str, np.ndarray]


def load_pretrained(
    model: keras.Model, weights: str, *, encoder: str, wm: float, trained: InputSpec | None = None, fed: InputSpec | None = None
) -> int:
    """Copy pretrained weights onto every layer of the encoder, checking each name and shape.

    Of a fourth input channel, the prior, the weights start at 0: the net begins as the one without it. After weights from a folded file
    the batch normalisations lack their statistics, see `folded.unfold`.

    Args:
        model: a net whose encoder layers start with `enc_`.
        weights: "imagenet", or the path of an .h5 file with keras.applications' layer names, or of a .tflite or .onnx file that begins
            with the encoder.
        encoder: name in ENCODERS; empty: the net has none.
        wm: width multiplier of the encoder.
        trained: the input that the weights were trained with; None: what the encoder's usual ones were.
        fed: the input that the net gets; None: the same.

    Returns:
        The number of layers that were filled.

    Raises:
        InputError: the weights cannot be had or do not fit.
    """
    if encoder not in ENCODERS:
        raise InputError(
            f"{model.name} has no encoder that there are pretrained weights of; leave --pretrained out, "
            "or choose an --arch with an option --encoder"
        )
    if weights == "imagenet":
        source = _imagenet(encoder, wm)
    elif match.is_folded(weights):
        source = match.read(Path(weights), model, prefix=PREFIX, optional=PREFIX + EXPAND)
    else:
        source = _file(Path(weights))
    trained = trained or ENCODERS[encoder].input
    source = _ranged(model, source, PREFIX, trained, fed or trained)
    return copy_weights(model, source, origin=weights)


def load_whole(model: keras.Model, path: Path, *, trained: InputSpec, fed: InputSpec) -> int:
    """Copy the weights of a folded file of the same net onto every layer of it, encoder, decoder and head.

    Args:
        model: a net.
        path: a .tflite or .onnx file.
        trained: the input that the file takes.
        fed: the input that the net gets.

    Returns:
        The number of layers that were filled; their batch normalisations lack their statistics, see `folded.unfold`.

    Raises:
        InputError: the file cannot be read or does not fit.
    """
    source = _ranged(model, match.read(path, model, prefix=""), "", trained, fed)
    return copy_weights(model, source, origin=str(path), prefix="")


def _ranged(model: keras.Model, source: _Weights, prefix: str, trained: InputSpec, fed: InputSpec) -> _Weights:
    stem = next(_layers(model, prefix), None)
    return source if stem is None else input_range.convert(source, stem, prefix=prefix, have=trained, want=fed)


def copy_weights(model: keras.Model, source: _Weights, *, origin: str, prefix: str = PREFIX) -> int:
    """Fill the layers that start with `prefix`, from `source` ("layer/weight" -> array); all or none. Biases that it lacks become 0.

    Raises:
        InputError: a layer is missing in the source or has another shape.
    """
    source = {**_identity(model), **source}
    found: list[tuple[keras.layers.Layer, list[np.ndarray]]] = []
    problems: list[str] = []
    for layer in _layers(model, prefix):
        arrays, missing = _match(layer, source, prefix, first=not found)
        problems += missing
        found.append((layer, arrays))
    if problems:
        raise InputError(
            f"{origin} does not fit this {'encoder' if prefix else 'net'}: {'; '.join(problems[:3])}{' ...' if len(problems) > 3 else ''}; "
            f"the file must come from the same {'encoder' if prefix else 'net'} with the same --wm"
        )
    for layer, arrays in found:
        layer.set_weights(arrays)
    return len(found)


def _layers(model: keras.Model, prefix: str) -> Iterator[keras.layers.Layer]:
    return (layer for layer in model.layers if layer.name.startswith(prefix) and layer.weights)


def _identity(model: keras.Model) -> _Weights:
    """Weights with which the layer EXPAND and its batch normalisation pass their input on; none where there is no such layer."""
    kernels = [layer.kernel for layer in model.layers if layer.name == PREFIX + EXPAND]
    if not kernels:
        return {}
    channels = kernels[0].shape[-1]
    ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    bn = {"gamma": ones, "beta": zeros, "moving_mean": zeros, "moving_variance": ones}
    return {f"{EXPAND}/kernel": np.eye(channels, dtype=np.float32)[None, None], **{f"{EXPAND}_BN/{kind}": bn[kind] for kind in bn}}


def _match(layer: keras.layers.Layer, source: _Weights, prefix: str, *, first: bool) -> tuple[list[np.ndarray], list[str]]:
    """The arrays for a layer, the first or another, and what is wrong with them."""
    arrays, problems = [], []
    for weight in layer.weights:
        kind = weight.name.rsplit("/", 1)[-1].split(":")[0]
        key = f"{layer.name.removeprefix(prefix)}/{kind}"
        array = source.get(key)
        if array is None and kind == "bias":
            array = np.zeros(weight.shape, np.float32)
        if first and kind == "kernel" and array is not None:
            array = with_prior(array, tuple(weight.shape))
        if array is None:
            problems.append(f"{key} is missing")
        elif array.shape != tuple(weight.shape):
            problems.append(f"{key} has shape {array.shape}, {tuple(weight.shape)} is needed")
        else:
            arrays.append(array)
    return arrays, problems


def with_prior(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The kernel (h,w,3,F) with a fourth input channel of zeros, where that makes it fit `shape`: the net begins as the one without it."""
    if kernel.ndim == 4 and kernel.shape[2] == 3 and shape[2] == 4:
        return np.pad(kernel, ((0, 0), (0, 0), (0, 1), (0, 0)))
    return kernel


def application_weights(model: keras.Model) -> _Weights:
    """The weights of a keras.applications model under our layers' names ("/" becomes "_")."""
    return {
        f"{layer.name.replace('/', '_')}/{weight.name.rsplit('/', 1)[-1].split(':')[0]}": weight.numpy()
        for layer in model.layers
        for weight in layer.weights
    }


def _file(path: Path) -> _Weights:
    """Every array of a Keras .h5 file by the last parts of its path; nothing else in the file is looked at."""
    if not path.is_file():
        raise InputError(f'no pretrained weights {path}; give "imagenet", an .h5, .tflite or .onnx file')
    source: _Weights = {}
    for name, array in hdf5.read(path).arrays.items():
        layer, _, weight = name.rpartition("/")
        source[f"{_layer_name(layer)}/{weight.split(':')[0]}"] = array
    return source


def _layer_name(path: str) -> str:
    """The layer's name from a group's path: Keras writes it twice, and names of its MobileNetV3 hold slashes."""
    parts = path.split("/")
    half = len(parts) // 2
    if len(parts) % 2 == 0 and parts[:half] == parts[half:]:
        return "_".join(parts[half:])
    return parts[-1]


def _imagenet(encoder: str, wm: float) -> _Weights:
    spec = ENCODERS[encoder]
    if spec.application is None:
        raise InputError(f"keras.applications has no {encoder}; give a file: --pretrained FILE.h5, or start from scratch")
    try:
        return application_weights(spec.application(wm=wm))
    except ValueError as error:
        raise InputError(f"keras.applications has no ImageNet weights for {encoder} at wm {wm}: {error}") from error
    except Exception as error:  # keras.utils.get_file raises a bare Exception when it cannot download
        raise InputError(
            f"the ImageNet weights of {encoder} could not be downloaded; put {spec.file.format(wm=wm)} into ~/.keras/models/, "
            f"or give a file: --pretrained FILE.h5 ({str(error).splitlines()[0][:120]})"
        ) from error
