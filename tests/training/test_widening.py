"""A wider net gives what the narrower one gave, and its new channels can learn."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs
from portraitseg.training import widening
from tests.drawn import drawn

X = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32))


def trained(arch: str, seed: int = 0, **settings) -> keras.Model:
    return drawn(archs.new_card(arch, size=64, **settings), seed)


TWINS = ("munet_mnv3", "munet_mnv2_transition", "prisma_net")
"""Made of the layers of another arch here."""


@pytest.mark.parametrize("arch", ["selfie_net", "munet_mnv2", "slim_net", *(pytest.param(name, marks=pytest.mark.slow) for name in TWINS)])
def test_it_gives_what_the_narrower_gave(arch):
    narrow, wide = trained(arch, wm=0.5), trained(arch, seed=1, wm=1.0)
    before = np.abs(wide(X) - narrow(X)).max()
    grown = widening.widen(wide, narrow)
    assert grown > 10
    scale = np.abs(narrow(X)).max()
    assert before > 0.1 * scale
    np.testing.assert_allclose(wide(X), narrow(X), atol=1e-4 * scale)


def test_new_channels_learn_and_are_heard():
    narrow, wide = trained("selfie_net", wm=0.5), trained("selfie_net", seed=1, wm=1.0)
    widening.widen(wide, narrow)
    kernel, trained_kernel = (net.get_layer("enc_block3_expand").kernel for net in (wide, narrow))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(wide(X) ** 2)
    gradient = tape.gradient(loss, kernel).numpy()[0, 0]
    old_in, old_out = trained_kernel.shape[2:]
    assert not kernel.numpy()[0, 0, old_in:, :old_out].any()
    assert np.abs(gradient[old_in:, :old_out]).min() > 0


def test_nothing_is_done_to_a_net_that_is_no_wider_or_another():
    narrow = trained("selfie_net", wm=1.0)
    for model in (
        trained("selfie_net", 1, wm=1.0),
        trained("selfie_net", 1, wm=0.5),
        trained("munet_mnv3", 1),
        trained("selfie_net", 1, wm=1.5, classes=2),
    ):
        before = model.get_weights()
        assert widening.widen(model, narrow) == 0
        assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


def test_a_further_input_channel_alone_is_not_wider():
    assert widening.widen(trained("selfie_net", 1, wm=1.0, channels=4), trained("selfie_net", wm=1.0)) == 0
