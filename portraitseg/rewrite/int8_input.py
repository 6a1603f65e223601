"""The picture's raw bytes as the input tensor of an int8 file, whatever the net's normalisation."""

import dataclasses

import numpy as np
import tf_keras as keras

from portraitseg.card import UNIT, Card
from portraitseg.errors import InputError
from portraitseg.rewrite.graph import Graph, Step

NAME = "image_normalised"


def to_byte_input(model: keras.Model, card: Card) -> tuple[keras.Model, Card]:
    """Move a normalisation that differs by channel, or the order BGR, into the graph.

    A tensor has one scale and one zero point, so that bytes can be the input only where all channels share mean and std, in the order
    of the picture. For any other, a 1x1 convolution in front of the net orders and scales the channels; its input lies in [0,1], of
    which a byte is 255ths. A fourth channel, the prior, lies in [0,1] anyway and passes.

    Args:
        model: a deploy graph, (1,H,W,C) in the range of `card.input`.
        card: its card.

    Returns:
        Both as they came if bytes can be the input already, else the graph with the convolution and a card with the input UNIT.

    Raises:
        InputError: the card's fit is "letterbox", whose border is the mean and would be another colour.
    """
    spec = card.input
    if len({*spec.mean}) == len({*spec.std}) == 1 and spec.order == "rgb":
        return model, card
    if card.fit == "letterbox":
        raise InputError(
            f"raw bytes cannot be the input with fit letterbox, mean {spec.mean} and order {spec.order}: the border, which is the mean, "
            "would be another colour; export with --io float, or with fit stretch"
        )
    graph = Graph(model)
    kernel, bias = _normalisation(card)
    first = Step(keras.layers.Conv2D(card.channels, 1, name=NAME), [graph.input], [kernel, bias])
    graph.insert(graph.input, first)
    return graph.build(), dataclasses.replace(card, input=UNIT)


def _normalisation(card: Card) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (1,1,C,C) and bias (C,) that make the card's input of RGB in [0,1]."""
    kernel, bias = np.eye(card.channels), np.zeros(card.channels)
    order = (2, 1, 0) if card.input.order == "bgr" else (0, 1, 2)
    for channel, (source, mean, std) in enumerate(zip(order, card.input.mean, card.input.std, strict=True)):
        kernel[:, channel] = 0
        kernel[source, channel] = 255 / std
        bias[channel] = -mean / std
    return kernel[None, None].astype(np.float32), bias.astype(np.float32)
