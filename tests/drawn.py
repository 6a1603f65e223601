"""Nets for tests of what weights do: those of a net that was just built say too little."""

import numpy as np
import tf_keras as keras

from portraitseg import archs
from portraitseg.card import Card


def drawn(card: Card, seed: int = 0) -> keras.Model:
    """A net whose weights and batch-norm statistics all lie away from their first values."""
    keras.utils.set_random_seed(seed)
    random, model = np.random.default_rng(seed), archs.build(card)
    model.set_weights(
        [value * random.uniform(0.8, 1.2, value.shape) + random.uniform(0, 0.1, value.shape) for value in model.get_weights()]
    )
    return model
