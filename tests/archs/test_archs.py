"""Every arch against the published counts, and what any arch must be able to do."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs
from portraitseg.archs.summary import macs
from portraitseg.errors import InputError
from portraitseg.export.deploy import folded_params

PUBLISHED = [(name, item) for name, spec in archs.ARCHS.items() for item in spec.published]


def variants() -> list[tuple[str, dict[str, str]]]:
    """Every arch with every value of an option, but for the encoders: test_unet.py, test_munet.py and test_encoders.py build each."""
    values = [(name, key, value) for name, spec in archs.ARCHS.items() for key, values in spec.options.items() for value in values]
    return [(name, {key: value}) for name, key, value in values if key != "encoder"] + [
        (name, {}) for name, spec in archs.ARCHS.items() if not spec.options
    ]


@pytest.mark.parametrize(
    ("arch", "wm", "classes", "options", "training", "folded"),
    [
        # counted in the original notebooks' summaries and published files
        ("munet_mnv2", 0.5, 1, {"decoder": "deconv"}, 3_648_561, 3_620_617),
        ("munet_mnv2", 0.5, 1, {"decoder": "bilinear"}, 3_648_561, 3_620_617),
        ("munet_mnv3", 1.0, 1, {}, 2_578_449, 2_552_241),
        ("munet_mnv3", 0.5, 1, {}, 1_216_293, 1_192_213),
        ("munet_mnv3_transition", 1.0, 2, {}, 969_970, 940_122),
    ],
)
def test_counts_are_the_published_ones(arch, wm, classes, options, training, folded):
    model = archs.build(archs.new_card(arch, wm=wm, classes=classes, **options))
    assert model.count_params() == training
    assert folded_params(model) == folded


@pytest.mark.parametrize(("arch", "item"), PUBLISHED)
def test_registry_repeats_the_counts(arch, item):
    model = archs.build(archs.new_card(arch, wm=item.wm, size=item.size, channels=item.channels, classes=item.classes, **item.options))
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    counted = {"folded": folded_params(model), "training": model.count_params(), "trainable": trainable}
    published = {kind: getattr(item, kind) for kind in counted if getattr(item, kind) is not None}
    assert published
    assert {kind: counted[kind] for kind in published} == published


def test_half_folded_count_of_the_published_file():
    """The original folded the encoder alone: 5 BNs of 512+256+128+64+32 channels keep their 4 vectors."""
    model = archs.build(archs.new_card("munet_mnv2"))
    kept = [
        layer.count_params()
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.name.startswith("dec")
    ]
    assert len(kept) == 5
    assert folded_params(model) + sum(kept) == 3_624_585


def test_fourth_channel_adds_its_kernel_only():
    three, four = (archs.build(archs.new_card("munet_mnv3", channels=channels)).count_params() for channels in (3, 4))
    assert four - three == 3 * 3 * 16


@pytest.mark.parametrize(
    ("arch", "wm", "options", "millions"),
    [("munet_mnv2", 0.5, {"decoder": "deconv"}, 526), ("munet_mnv2", 0.5, {"decoder": "bilinear"}, 2020), ("munet_mnv3", 1.0, {}, 550)],
)
def test_macs_are_the_published_ones(arch, wm, options, millions):
    assert round(macs(archs.build(archs.new_card(arch, wm=wm, **options))) / 1e6) == millions


@pytest.mark.parametrize(("arch", "options"), variants())
def test_logits_have_the_pictures_size_at_several_sizes(arch, options):
    for size, classes in ((32, 1), (96, 2), (160, 1)):
        model = archs.build(archs.new_card(arch, size=size, classes=classes, **options))
        assert {output.shape[1:] for output in model.outputs} == {(size, size, classes)}
        assert model.output_names[0] == "logits"


@pytest.mark.parametrize(("arch", "options"), variants())
def test_every_trainable_weight_gets_a_gradient(arch, options):
    model = archs.build(archs.new_card(arch, size=32, **options))
    x = tf.random.stateless_normal((2, 32, 32, 3), seed=(1, 2))
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_mean(output**2) for output in tf.nest.flatten(model(x, training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    without = [w.name for w, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert not without


def test_layer_names_start_with_their_part():
    for name in archs.ARCHS:
        model = archs.build(archs.new_card(name, size=64))
        outside = [
            layer.name
            for layer in model.layers
            if not layer.name.startswith(("enc_", "dec", "head_")) and layer.name not in ("image", *model.output_names)
        ]
        assert not outside


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arch": "net"}, "unknown arch 'net'; choose one of munet_mnv2"),
        ({"arch": "munet_mnv3", "size": 100}, "multiple of 32, got 100; try 96"),
        ({"arch": "munet_mnv3", "size": 0}, "multiple of 32, got 0; try 32"),
        ({"arch": "munet_mnv3", "wm": 0.0}, "above 0"),
        ({"arch": "munet_mnv3", "wm": -1.0}, "above 0"),
        ({"arch": "munet_mnv3", "wm": 0.01}, "smallest is 0.0625"),
        ({"arch": "munet_mnv3", "decoder": "bilinear"}, "munet_mnv3 has no decoder 'bilinear'; leave it out"),
        ({"arch": "munet_mnv2", "decoder": "nearest"}, "choose one of deconv, bilinear"),
        ({"arch": "munet_mnv2", "channels": 5}, "channels must be 3 or 4"),
    ],
)
def test_refusals_say_what_is_allowed(arguments, message):
    with pytest.raises(InputError, match=message):
        archs.new_card(**arguments)


def test_bilinear_doubling_does_not_shift():
    """An impulse doubled with half-pixel centres spreads evenly about its centre: mean position (2i + 0.5) in the doubled grid."""
    from portraitseg.layers import upsample

    image = np.zeros((1, 8, 8, 1), np.float32)
    image[0, 3, 4, 0] = 1
    x = keras.Input((8, 8, 1))
    doubled = keras.Model(x, upsample(x, name="up"))(image).numpy()[0, ..., 0]
    rows, columns = np.mgrid[:16, :16]
    assert (rows * doubled).sum() / doubled.sum() == pytest.approx(3 * 2 + 0.5)
    assert (columns * doubled).sum() / doubled.sum() == pytest.approx(4 * 2 + 0.5)


def test_munet_mnv2_transition_counted_by_hand():
    """No original gives its count: MobileNetV2 0.35 up to block 16 and the transition decoder, kernels and biases added up."""

    def block(channels: int, expansion: int, filters: int) -> int:
        wide = expansion * channels
        expand = channels * wide + wide if expansion > 1 else 0
        return expand + (9 * wide + wide) + (wide * filters + filters)

    def transition(channels: int, filters: int) -> int:
        first = (9 * channels + channels) + (channels * filters + filters)
        second = (9 * filters + filters) + (filters * filters + filters)
        return first + second + (channels * filters + filters)

    stem = 27 * 16 + 16
    widths = [16, 8, 8, 8, 16, 16, 16, 24, 24, 24, 24, 32, 32, 32, 56, 56, 56, 112]  # the stem's, then each block's
    blocks = sum(block(a, 1 if number == 0 else 6, b) for number, (a, b) in enumerate(itertools.pairwise(widths)))
    decoder = transition(112, 6 * 32) + transition(6 * 32, 6 * 16) + transition(6 * 16, 6 * 8) + transition(6 * 8, 16)
    head = 16 + 1
    assert stem + blocks + decoder + head == 392_785
    assert folded_params(archs.build(archs.new_card("munet_mnv2_transition"))) == 392_785
