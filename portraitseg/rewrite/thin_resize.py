"""Bilinear resizes of a channel or two as a 3x3 convolution spread over the larger picture (DEPTH_TO_SPACE).

A resize works channels side by side; with one or two, as behind a head, it takes as long as with sixteen. Whatever the factor, and for
several resizes in a row, each output pixel depends on the 3x3 pixels about its own alone, with weights that repeat from block to block;
beyond the rim the outermost pixels go on.
"""

import itertools
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg.rewrite.graph import Array, Graph, Step
from portraitseg.rewrite.subpixel import DepthToSpace

THIN = 2
"""Up to so many channels."""


@keras.utils.register_keras_serializable(package="portraitseg")
class EdgePad(layers.Layer):  # type: ignore[misc]  # its base has no types
    """Repeat the outermost pixels once."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """(N,h,w,C) -> (N,h+2,w+2,C)."""
        rows = tf.concat([inputs[:, :1], inputs, inputs[:, -1:]], 1)
        return tf.concat([rows[:, :, :1], rows, rows[:, :, -1:]], 2)


def rewrite_thin_resizes(graph: Graph) -> None:
    """Replace every bilinear resize with half-pixel centres of at most THIN channels, those in a row as one."""
    done: set[str] = set()
    for step in graph.find(layers.UpSampling2D, lambda step: _is_thin(graph, step)):
        if step.name in done:
            continue
        row = [step, *_followers(graph, step)]
        done.update(follower.name for follower in row)
        _replace(graph, row)


def weights(factors: list[int]) -> Array:
    """Weights (3,factor) of the three pixels about block 0, for each of its pixels, of bilinear resizes by `factors` in a row."""
    columns = []
    for impulse in np.eye(7)[2:5]:
        for factor in factors:
            centres = (np.arange(len(impulse) * factor) + 0.5) / factor - 0.5
            impulse = np.interp(centres, np.arange(len(impulse)), impulse)
        total = int(np.prod(factors))
        columns.append(impulse[3 * total : 4 * total])
    return np.asarray(columns)


def _is_thin(graph: Graph, step: Step) -> bool:
    """Whether the picture keeps its proportions and has few channels."""
    rows, columns = step.layer.size
    return step.layer.interpolation == "bilinear" and rows == columns and graph.shapes[step.name][-1] <= THIN


def _followers(graph: Graph, step: Step) -> list[Step]:
    """The resizes behind `step`, each the only one that takes what the one before gives."""
    found = [taker for taker in graph.consumers(step.name) if isinstance(taker.layer, layers.UpSampling2D)]
    if len(found) != 1 or not graph.only_for(step.name, found[0]) or not _is_thin(graph, found[0]):
        return []
    return [found[0], *_followers(graph, found[0])]


def _replace(graph: Graph, row: list[Step]) -> None:
    first, last = row[0], row[-1]
    factors, channels = [step.layer.size[0] for step in row], graph.shapes[last.name][-1]
    factor, along = int(np.prod(factors)), weights(factors)
    kernel: Any = np.zeros((3, 3, channels, factor, factor, channels), np.float32)
    for i, j, channel in itertools.product(range(3), range(3), range(channels)):
        kernel[i, j, channel, :, :, channel] = np.outer(along[i], along[j])
    pad = Step(EdgePad(name=f"{last.name}_pad"), list(first.inputs))
    conv = layers.Conv2D(factor * factor * channels, 3, use_bias=False, name=f"{last.name}_blocks")
    blocks = Step(conv, [pad.name], [kernel.reshape(3, 3, channels, -1)])  # 1,h,w,factor^2*C
    for step in row[:-1]:
        graph.replace(step)
    graph.replace(last, pad, blocks, Step(DepthToSpace(factor, name=last.name), [blocks.name]))
