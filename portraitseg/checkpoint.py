"""Weights (.h5) with their card (.json) beside them. Loading never runs code from a file: the net is built from the card."""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt
import tf_keras as keras

from portraitseg import archs, hdf5
from portraitseg.card import Card, card_path
from portraitseg.encoders.pretrained import with_prior
from portraitseg.errors import InputError
from portraitseg.files import atomic


def save(model: keras.Model, card: Card, path: Path) -> None:
    """Write the weights to `path` (.h5) and the card beside it, each whole or not at all."""
    content = _encode(model)
    with atomic(path) as temporary:
        temporary.write_bytes(content)
    card.save(card_path(path))


def read_card(path: Path) -> Card:
    """The card of a checkpoint.

    Raises:
        InputError: the checkpoint or its card is missing or unreadable.
    """
    if not path.is_file():
        raise InputError(f"no checkpoint {path}; train.py writes them as runs/NAME/best.h5")
    if path.suffix != ".h5":
        raise InputError(f"{path} is not a checkpoint; a checkpoint ends in .h5 and has its card (.json) beside it")
    return Card.load(card_path(path))


def load(path: Path) -> tuple[keras.Model, Card]:
    """Build the net that the card describes and fill it with the weights of `path`.

    Raises:
        InputError: the file is missing, truncated, not HDF5, or holds the weights of another net.
    """
    card = read_card(path)
    model = _build(card)
    load_weights(model, card, path)
    return model, card


def _build(card: Card) -> keras.Model:
    if card.quant != "qat":
        return archs.build(card)
    from portraitseg.quantization import qat

    return qat.build(card)


def load_weights(model: keras.Model, card: Card, path: Path) -> None:
    """Fill `model` with the weights of `path`; whatever else the file holds (a model's description, code) is not looked at.

    Raises:
        InputError: as `load`.
    """
    weights = _layer_weights(hdf5.read(path))
    for layer in model.layers:
        if not layer.weights:
            continue
        found = weights.get(layer.name)
        expected = [tuple(weight.shape) for weight in layer.weights]
        if found is None or [value.shape for value in found] != expected:
            came = "nothing" if found is None else [value.shape for value in found]
            raise InputError(
                f"{path} does not hold the weights of {card.name}: layer {layer.name} needs {expected}, the file has {came}; "
                "is this the card of another checkpoint?"
            )
        layer.set_weights(found)


def take(model: keras.Model, trained: keras.Model, *, origin: str) -> list[str]:
    """Fill the layers of `model` that `trained` has under the same name in the same shape; of a fourth input channel they become 0.

    Args:
        model: a net, of whatever size and decoder.
        trained: another net.
        origin: where that comes from, for the message.

    Returns:
        Names of the layers that are not filled.

    Raises:
        InputError: none is.
    """
    weights = {layer.name: layer.get_weights() for layer in trained.layers}
    layers = [layer for layer in model.layers if layer.weights]
    others = []
    for layer in layers:
        shapes, found = [tuple(weight.shape) for weight in layer.weights], weights.get(layer.name, [])
        found = [with_prior(value, shape) for value, shape in zip(found, shapes, strict=False)]
        if [value.shape for value in found] == shapes:
            layer.set_weights(found)
        else:
            others.append(layer.name)
    if len(others) == len(layers):
        raise InputError(f"{origin} has no layer of {model.name} in its shape; give the checkpoint of a net of that kind")
    return others


def _encode(model: keras.Model) -> bytes:
    """The weights as an HDF5 file in Keras' layout, made in memory: HDF5 itself ends the process when a disk is full."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [weight.name.encode() for weight in layer.weights]
            for weight in layer.weights:
                group.create_dataset(weight.name, data=weight.numpy())
    return buffer.getvalue()


def _layer_weights(file: hdf5.Hdf5) -> dict[str, list[npt.NDArray[Any]]]:
    """Arrays by layer name, in the order in which Keras lists them; those that are listed and not there are left out."""
    return {
        group.removeprefix("model_weights/"): [file.arrays[f"{group}/{name}"] for name in names if f"{group}/{name}" in file.arrays]
        for group, names in file.groups.items()
    }
