"""A narrower net from a wider checkpoint: what linear bottlenecks hold is cut down to its principal components.

Between the 1x1 convolution that projects an inverted residual and those that expand it again (MobileNetV2, arXiv:1801.04381) there is
nothing but batch normalisation and addition. So any rotation of those channels, taken back by the next convolutions, changes nothing, and
of the rotated ones those with the least variance can be left out, in all blocks that are added to each other the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

Array = npt.NDArray[np.float64]
Norm = keras.layers.BatchNormalization


@dataclass
class Bottleneck:
    """Channels that convolutions make, batch norms and additions pass on, and convolutions take."""

    makers: list[keras.layers.Layer] = field(default_factory=list)
    takers: list[keras.layers.Layer] = field(default_factory=list)

    def narrows(self, model: keras.Model) -> bool:
        """Whether there is nothing else about it, and `model` has fewer of the channels."""
        ours, convolutions = {layer.name: layer for layer in model.layers}, self.makers + self.takers
        plain = all(type(layer) is keras.layers.Conv2D and layer.name in ours for layer in convolutions)
        if not plain or not self.takers or any(layer.use_bias != ours[layer.name].use_bias for layer in convolutions):
            return False
        return all(ours[layer.name].filters < layer.filters for layer in self.makers)


def narrow(model: keras.Model, wide: keras.Model, batches: Iterable[tf.Tensor]) -> list[float]:
    """Fill the convolutions about the bottlenecks that are narrower in `model` than in `wide`, and the batch norms behind them.

    Batch norms behind a bottleneck are left without statistics, see `encoders.folded.unfold`.

    Args:
        model: a net that has the layers of the wide one under the same names.
        wide: a trained net.
        batches: pictures (N,H,W,C) as the nets get them.

    Returns:
        The share of its variance that each bottleneck keeps.
    """
    found = [bottleneck for bottleneck in bottlenecks(wide) if bottleneck.narrows(model)]
    takers = [taker for bottleneck in found for taker in bottleneck.takers]
    seen = dict(zip([taker.name for taker in takers], _moments(wide, takers, batches), strict=True))
    weights = {layer.name: layer.get_weights() for layer in wide.layers if layer.weights}
    kept = []
    for bottleneck in found:
        width = model.get_layer(bottleneck.makers[0].name).filters
        covariance = np.mean([seen[taker.name][1] for taker in bottleneck.takers], axis=0)
        values, vectors = np.linalg.eigh(covariance)  # rising
        basis = vectors[:, -width:]
        kept.append(float(values[-width:].sum() / values.sum()))
        for taker in bottleneck.takers:
            _take(weights, taker, basis, seen[taker.name][0])
        for maker in bottleneck.makers:
            _make(weights, maker, basis)
    touched = {layer.name for bottleneck in found for layer in bottleneck.makers + bottleneck.takers}
    for name in touched | {norm.name for norm in map(_norm, map(wide.get_layer, touched)) if norm}:
        model.get_layer(name).set_weights(weights[name])
    return kept


def bottlenecks(model: keras.Model) -> list[Bottleneck]:
    """Every set of channels that only batch norms and additions pass on, the trivial ones too."""
    owners: dict[str, Bottleneck] = {}  # layer -> that of its output
    for layer in model.layers:
        sources = [source.name for node in layer.inbound_nodes[:1] for source in tf.nest.flatten(node.inbound_layers)]
        if isinstance(layer, Norm | keras.layers.Add):
            joined, *others = [owners[source] for source in sources]
            for other in others:
                if other is not joined:
                    joined.makers += other.makers
                    joined.takers += other.takers
                    owners = {name: joined if owner is other else owner for name, owner in owners.items()}
            owners[layer.name] = joined
        else:
            for source in sources:
                owners[source].takers.append(layer)
            owners[layer.name] = Bottleneck(makers=[layer])
    return list({id(owner): owner for owner in owners.values()}.values())


def _moments(wide: keras.Model, takers: list[keras.layers.Layer], batches: Iterable[tf.Tensor]) -> list[tuple[Array, Array]]:
    """Mean (C,) and covariance (C,C) of what each convolution takes."""
    probe = keras.Model(wide.inputs, [taker.input for taker in takers])

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def moments(x: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        rows = [tf.reshape(value, (-1, value.shape[-1])) for value in tf.nest.flatten(probe(x, training=False))]
        return [(tf.reduce_mean(row, 0), tf.matmul(row, row, transpose_a=True) / tf.cast(len(row), row.dtype)) for row in rows]

    if not takers:
        return []
    means, squares = (
        [np.mean([np.asarray(batch[number][kind], np.float64) for batch in found], axis=0) for number in range(len(takers))]
        for found in [[moments(x) for x in batches]]
        for kind in (0, 1)
    )
    return [(mean, square - np.outer(mean, mean)) for mean, square in zip(means, squares, strict=True)]


def _take(weights: dict[str, list[np.ndarray]], taker: keras.layers.Layer, basis: Array, mean: Array) -> None:
    """Let a convolution take the components; the mean of what is left out goes into the shift behind it."""
    kernel, *bias = weights[taker.name]
    lost = np.einsum("hwcf,c->f", kernel, mean - basis @ (basis.T @ mean))
    norm = _norm(taker)
    if norm:
        gamma, beta, moving, variance = weights[norm.name]
        weights[norm.name] = [gamma, beta, moving - lost, variance]
    else:
        bias = [(bias[0] if bias else 0) + lost]
    weights[taker.name] = [np.einsum("hwcf,ck->hwkf", kernel, basis), *bias]


def _make(weights: dict[str, list[np.ndarray]], maker: keras.layers.Layer, basis: Array) -> None:
    """Let a convolution and its batch norm, merged into it, make the components."""
    kernel, *bias = weights[maker.name]
    norm, shift = _norm(maker), bias[0] if bias else np.zeros(kernel.shape[-1])
    if norm:
        gamma, beta, mean, variance = weights[norm.name]
        scale = gamma / np.sqrt(variance + norm.epsilon)
        kernel, shift = kernel * scale, beta + (shift - mean) * scale
    kernel, shift = kernel @ basis, shift @ basis
    ones, zeros = np.ones_like(shift), np.zeros_like(shift)
    if norm:
        weights[norm.name] = [ones * np.sqrt(1 + norm.epsilon), shift, zeros, ones]
    weights[maker.name] = [kernel, *([zeros if norm else shift] if bias else [])]


def _norm(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """The batch norm behind a convolution."""
    return next((node.layer for node in layer.outbound_nodes if isinstance(node.layer, Norm)), None)
