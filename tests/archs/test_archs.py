"""Every arch against the published counts, and what any arch must be able to do.

The generic tests run on narrow nets, where the width is not the point, and leave to `-m slow` what another arch has already shown.
"""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs, checkpoint
from portraitseg.archs.summary import macs
from portraitseg.errors import InputError
from portraitseg.rewrite.deploy import folded_params

NARROW = {"unet": 0.125, "u2net": 0.125, "resunet": 0.125, "autoencoder": 0.25, "munet": 0.5}
"""Widths for the tests that hold at any."""
TWINS = {"munet", "munet_mnv2_transition", "mobilenet_v4_unet", "portrait_nano_m", "portrait_nano_l", "u2net"}
"""Made of the layers of another arch, in other numbers."""
STORED = {"munet_mnv2", "munet_mnv3_transition", "portrait_net", "slim_net", "portrait_nano_s"}
"""With every kind of layer that a checkpoint must give back."""
MILLIONS = 10_000_000


def slow_if(condition: bool) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if condition else []


def every_arch() -> list:
    return [pytest.param(name, marks=slow_if(name in TWINS)) for name in archs.ARCHS]


def variants() -> list:
    """Every arch as it is by default, and with each other value of an option; test_unet.py, test_munet.py, test_encoders.py: encoders.

    A resize has no weights, and test_resizing.py looks at those of every arch: it is tried on two nets, on all when there is time.
    """
    found = [pytest.param(name, {}, marks=slow_if(name in TWINS)) for name in archs.ARCHS]
    for name, spec in archs.ARCHS.items():
        for option, values in spec.options.items():
            if option != "encoder":
                quick = name not in TWINS and (option != "resize" or name in ("munet_mnv3_transition", "portrait_nano_s"))
                found += [pytest.param(name, {option: value}, marks=slow_if(not quick)) for value in values[1:]]
    return found


def published() -> list:
    """The tests of the large nets' own files count them too."""
    items = [(name, item) for name, spec in archs.ARCHS.items() for item in spec.published]
    sizes = [max(filter(None, (item.folded, item.training, item.trainable))) for _, item in items]
    return [pytest.param(name, item, marks=slow_if(size > MILLIONS)) for (name, item), size in zip(items, sizes, strict=True)]


@functools.cache
def built(arch: str, options: tuple[tuple[str, str], ...] = (), **shape: float) -> keras.Model:
    """A net; tests that change it must leave it as good as before."""
    keras.utils.set_random_seed(0)
    return archs.build(archs.new_card(arch, **shape, **dict(options)))


def narrow(arch: str, options: dict[str, str] | None = None, size: int = 32, classes: int = 1) -> keras.Model:
    return built(arch, tuple((options or {}).items()), size=size, classes=classes, wm=NARROW.get(arch))


def noise(size: int = 32) -> tf.Tensor:
    return tf.random.stateless_normal((2, size, size, 3), seed=(1, 2))


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
    model = built(arch, tuple(options.items()), wm=wm, classes=classes)
    assert model.count_params() == training
    assert folded_params(model) == folded


@pytest.mark.parametrize(("arch", "item"), published())
def test_registry_repeats_the_counts(arch, item):
    shape = {"wm": item.wm, "classes": item.classes}
    shape |= {key: value for key, value in (("size", item.size), ("channels", item.channels)) if value not in (None, 3)}
    model = built(arch, tuple(item.options.items()), **shape)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    counted = {"folded": folded_params(model), "training": model.count_params(), "trainable": trainable}
    given = {kind: getattr(item, kind) for kind in counted if getattr(item, kind) is not None}
    assert given
    assert {kind: counted[kind] for kind in given} == given


def test_half_folded_count_of_the_published_file():
    """The original folded the encoder alone: 5 BNs of 512+256+128+64+32 channels keep their 4 vectors."""
    model = built("munet_mnv2", (("decoder", "deconv"),), wm=0.5, classes=1)
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
    assert round(macs(built(arch, tuple(options.items()), wm=wm, classes=1)) / 1e6) == millions


def sizes() -> list:
    """Every arch at three sizes; above 32, which other tests build too, all but two archs take `-m slow`."""
    larger = [
        pytest.param(name, size, classes, marks=slow_if(name not in ("munet_mnv3_transition", "slim_net") or size > 96))
        for name in archs.ARCHS
        for size, classes in ((96, 2), (160, 1))
    ]
    return [pytest.param(name, 32, 1, marks=slow_if(name in TWINS)) for name in archs.ARCHS] + larger


@pytest.mark.parametrize(("arch", "size", "classes"), sizes())
def test_outputs_have_the_pictures_size(arch, size, classes):
    model = narrow(arch, size=size, classes=classes)
    assert {output.shape[1:] for output in model.outputs} == {(size, size, classes)}
    assert model.output_names[0] == "logits"


@pytest.mark.parametrize(("arch", "options"), variants())
def test_every_trainable_weight_gets_a_gradient(arch, options):
    model = narrow(arch, options)
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_mean(output**2) for output in tf.nest.flatten(model(noise(), training=True)))
    gradients = tape.gradient(loss, model.trainable_variables)
    without = [w.name for w, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert not without


@pytest.mark.parametrize("arch", [pytest.param(name, marks=slow_if(name not in STORED)) for name in archs.ARCHS])
def test_a_checkpoint_gives_back_every_bit(arch, tmp_path):
    model, card = narrow(arch), archs.new_card(arch, size=32, wm=NARROW.get(arch))
    model(noise() * 3 + 1, training=True)  # batch-norm statistics that are not the initial ones
    checkpoint.save(model, card, tmp_path / "net.h5")
    keras.utils.set_random_seed(1)
    again, loaded = checkpoint.load(tmp_path / "net.h5")
    assert loaded == card
    before, after = (tf.nest.flatten(net(noise(), training=False)) for net in (model, again))
    assert np.std(before[0]) > 0
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("arch", every_arch())
def test_layer_names_start_with_their_part(arch):
    model = narrow(arch)
    ends = ("image", *model.output_names)
    outside = [layer.name for layer in model.layers if not layer.name.startswith(("enc_", "dec", "head_")) and layer.name not in ends]
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
