"""What the tensors of a net, before it is exported, hold over the calibration set."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from portraitseg.image import Float32
from portraitseg.quantization.calibration import CalibrationSet
from portraitseg.quantization.post_training.statistics import Statistics, gather
from portraitseg.rewrite.graph import Graph


def observe(graph: Graph, groups: Mapping[str, Sequence[str]], pictures: CalibrationSet) -> dict[str, Statistics]:
    """Statistics, histograms too, of groups of tensors: each as if it were one.

    Args:
        graph: the net.
        groups: name -> steps whose outputs belong to it.
        pictures: shown one by one, twice.

    Raises:
        InputError: a value is NaN or infinity.
    """
    if not groups:
        return {}
    names = [name for tensors in groups.values() for name in tensors]
    net = tf.function(graph.build(names))

    def runs(wanted: Sequence[str]) -> Iterator[dict[str, Float32]]:
        for x in tqdm(pictures, desc="calibrating", unit="picture"):
            values = dict(zip(names, tf.nest.flatten(net(tf.constant(x), training=False)), strict=True))
            yield {group: np.concatenate([values[name].numpy().ravel() for name in groups[group]]) for group in wanted}

    return gather(groups, runs, str, histograms=True)
