"""The mean of several nets' weights, a model soup: as good as the nets' mean prob, often, in the time of one.

Wortsman 2022, arXiv:2203.05482. It holds for nets that were trained on from the same one, since their weights mean the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tf_keras as keras

from portraitseg.card import Card
from portraitseg.errors import InputError
from portraitseg.rewrite.deploy import fold_in_place
from portraitseg.training import start

Weights = list[np.ndarray]
"""As `keras.Model.get_weights` lists them."""


def ingredients(paths: Sequence[Path]) -> tuple[keras.Model, list[Weights], list[Card]]:
    """What is to be averaged.

    Args:
        paths: float checkpoints (.h5), or float files that export.py wrote, of one arch.

    Returns:
        The first one's net, at its size; each one's weights, with the batch normalisations folded (`fold_in_place`); and their cards, as
        of checkpoints of that size.

    Raises:
        InputError: a file cannot be read or is quantized, or the nets are not of one kind.
    """
    nets: list[tuple[keras.Model, Card]] = []
    for path in paths:
        model, card = start.trained(path, nets[0][1].size if nets else None)
        card = replace(card, size=model.input_shape[1:3], output="logits", layout="nhwc", io="float32", measured={})
        if nets and (others := card.differing(nets[0][1])):
            came = ", ".join(f"{name} {getattr(card, name)} against {getattr(nets[0][1], name)}" for name in others)
            raise InputError(f"{path} is another net than {paths[0]}: {came}; average nets that were trained on from the same one")
        fold_in_place(model)
        nets.append((model, card))
    return nets[0][0], [model.get_weights() for model, _ in nets], [card for _, card in nets]


def mean(weights: Sequence[Weights]) -> Weights:
    """Of each array, that of all nets."""
    return [np.asarray(np.mean(arrays, axis=0, dtype=np.float64), np.float32) for arrays in zip(*weights, strict=True)]


def greedy(scores: Sequence[float], score: Callable[[list[int]], float]) -> list[int]:
    """Which to average: the best one, then in the order of their scores each that does the mean no harm (the paper's recipe 1).

    Args:
        scores: of each net by itself, the more the better.
        score: of the mean of those with these indices.

    Returns:
        Their indices, best first.
    """
    best, *others = sorted(range(len(scores)), key=lambda index: -scores[index])
    chosen, reached = [best], scores[best]
    for index in others:
        got = score([*chosen, index])
        if got >= reached:
            chosen, reached = [*chosen, index], got
    return chosen


def card_of(cards: Sequence[Card], command: str, metrics: dict[str, float]) -> Card:
    """Of the checkpoint that the mean of these cards' nets becomes: the first one's, with what the others learned from.

    Args:
        cards: of the nets, each with its `made`.
        command: that averages them.
        metrics: of the mean.

    Returns:
        A card whose `made` has everyone's commands, each once, and their hours together: what several started from counts once if it is
        among the nets, else with each.
    """
    first = cards[0]
    commands = dict.fromkeys(line for card in cards for line in _commands(card))
    hours = sum(card.made.get("hours", 0.0) - _hours_before(card, cards) for card in cards)
    return replace(
        first,
        data=tuple(dict.fromkeys(name for card in cards for name in card.data)),
        licence="; ".join(dict.fromkeys(card.licence for card in cards)),
        metrics=metrics,
        made={**first.made, "commands": [*commands, command], "hours": round(hours, 3)},
    )


def _hours_before(card: Card, cards: Sequence[Card]) -> float:
    """Of the net among them from which the card's was trained on; 0 for none."""
    lines = _commands(card)
    before = [net for net in cards if _commands(net) != lines and lines[: len(_commands(net))] == _commands(net)]
    return max((net.made.get("hours", 0.0) for net in before), default=0.0)


def _commands(card: Card) -> list[str]:
    return list(card.made.get("commands", ()))
