"""The first convolution, made to take pictures in another range or channel order than it was trained with."""

import numpy as np
import tf_keras as keras

from portraitseg.card import InputSpec

Weights = dict[str, np.ndarray]


def convert(source: Weights, stem: keras.layers.Layer, *, prefix: str, have: InputSpec, want: InputSpec) -> Weights:
    """`source` with the first convolution changed such that it gives for pictures in `want` what it gave for them in `have`.

    x = (byte - mean) / std, so one range is a linear function of the other, channel by channel: its factor goes into the kernel, its
    offset into the bias, or, where the convolution has none, into the mean of the batch normalisation behind it. Exact but for the rim:
    the zeros of the padding, there as here, stand for the colour `mean`.

    Args:
        source: "layer/weight" -> array; where the first convolution is missing, it is returned as it is.
        stem: the first convolution.
        prefix: of its name, which `source` does not have.
        have: what the weights were trained with.
        want: what they get from now on.
    """
    name = stem.name.removeprefix(prefix)
    kernel = source.get(f"{name}/kernel")
    if have == want or kernel is None or kernel.ndim != 4 or kernel.shape[2] < 3:
        return source
    flip = -1 if have.order != want.order else 1
    colours, prior = np.asarray(kernel[:, :, :3], np.float64)[:, :, ::flip], kernel[:, :, 3:]
    mean, std = (np.asarray(values, np.float64)[::flip] for values in (have.mean, have.std))
    factor, offset = np.asarray(want.std) / std, (np.asarray(want.mean) - mean) / std  # x in `have` = factor * x in `want` + offset
    changed = np.concatenate([colours * factor[:, None], prior], axis=2)
    return source | {f"{name}/kernel": changed} | _shifted(source, stem, prefix, np.einsum("hwcf,c->f", colours, offset))


def _shifted(source: Weights, stem: keras.layers.Layer, prefix: str, shift: np.ndarray) -> Weights:
    """What else changes if `shift` (F,) is to be added to the convolution's output."""
    name = stem.name.removeprefix(prefix)
    if stem.use_bias:
        return {f"{name}/bias": source.get(f"{name}/bias", 0) + shift}
    takers = [node.layer for node in stem.outbound_nodes if isinstance(node.layer, keras.layers.BatchNormalization)]
    means = [f"{taker.name.removeprefix(prefix)}/moving_mean" for taker in takers]
    return {mean: source[mean] - shift for mean in means if mean in source}
