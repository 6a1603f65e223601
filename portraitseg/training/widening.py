"""A wider net from a narrower checkpoint: it computes the same until it is trained on.

Net2WiderNet (Chen 2015, arXiv:1511.05641) doubles channels and halves what leaves them; here the narrower net's channels stay as they are
and none of them takes anything from a new one, whose own weights are random: no two channels are alike, so that nothing has to part them.
"""

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

Places = npt.NDArray[np.int64]


def widen(model: keras.Model, narrow: keras.Model) -> int:
    """Fill `model` from a net of the same layers, none of which is wider.

    Args:
        model: with random weights.
        narrow: a trained net.

    Returns:
        How many layers give more channels; 0, and nothing was done, if none does or the nets differ in anything but widths.
    """
    ours = {layer.name: layer for layer in model.layers}
    if _kind(model) != _kind(narrow):
        return 0
    grown = [layer for layer in narrow.layers if layer.weights and ours[layer.name].output.shape[-1] > layer.output.shape[-1]]
    pairs = [(ours[layer.name].get_weights(), layer.get_weights()) for layer in narrow.layers]
    if not grown or not all(_fits(new.shape, old.shape) for wide, trained in pairs for new, old in zip(wide, trained, strict=True)):
        return 0
    places: dict[str, Places] = {}  # layer -> where the channels of its output lie in the wider one's
    for layer, (wide, trained) in zip(narrow.layers, pairs, strict=True):
        sources = [source.name for node in layer.inbound_nodes[:1] for source in tf.nest.flatten(node.inbound_layers)]
        taken = _joined(layer, [places[source] for source in sources], [ours[source].output.shape[-1] for source in sources])
        places[layer.name] = np.arange(layer.output.shape[-1]) if taken is None or _mixes(layer) else taken
        if trained:
            ours[layer.name].set_weights([_placed(layer, new, old, taken) for new, old in zip(wide, trained, strict=True)])
    return len(grown)


def _kind(model: keras.Model) -> tuple[list[tuple[str, type]], list[int]]:
    """Name and class of each layer, and how many channels the net's outputs have."""
    return [(layer.name, type(layer)) for layer in model.layers], [output.shape[-1] for output in model.outputs]


def _fits(wide: tuple[int, ...], narrow: tuple[int, ...]) -> bool:
    return len(wide) == len(narrow) and all(ours >= other for ours, other in zip(wide, narrow, strict=True))


def _mixes(layer: keras.layers.Layer) -> bool:
    """Whether each channel that it gives is made from all that it takes."""
    return isinstance(layer, layers.Conv2D) and not isinstance(layer, layers.DepthwiseConv2D)


def _joined(layer: keras.layers.Layer, places: list[Places], widths: list[int]) -> Places | None:
    """Where the channels that a layer takes lie; None at the net's input."""
    if isinstance(layer, layers.Concatenate):
        return np.concatenate([place + start for place, start in zip(places, np.cumsum([0, *widths]), strict=False)])
    return places[0] if places else None


def _placed(layer: keras.layers.Layer, wide: np.ndarray, trained: np.ndarray, taken: Places | None) -> np.ndarray:
    """The wider weight: the trained one in its place, and 0 from a new channel to an old one."""
    out = wide.copy()
    if isinstance(layer, layers.DepthwiseConv2D) and wide.ndim == 4:
        out[:, :, taken] = trained
    elif not _mixes(layer):
        out[..., taken] = trained
    elif wide.ndim == 1:
        out[: len(trained)] = trained
    else:
        view, kernel = (np.moveaxis(value, 2, 3) if isinstance(layer, layers.Conv2DTranspose) else value for value in (out, trained))
        view[..., : kernel.shape[3]] = 0
        view[:, :, taken, : kernel.shape[3]] = kernel
    return out
