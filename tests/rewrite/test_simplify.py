"""What a deploy graph becomes, against the graph that it was."""

from collections.abc import Callable

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg.resizing import AlignCorners, BilinearTranspose, DepthwiseConv2DTranspose
from portraitseg.rewrite import subpixel
from portraitseg.rewrite.graph import Graph
from portraitseg.rewrite.simplify import simplify
from portraitseg.rewrite.subpixel import FEW, TAPS, DepthToSpace
from portraitseg.rewrite.thin_resize import weights


def _simplified(model: keras.Model) -> keras.Model:
    graph = Graph(model)
    simplify(graph)
    return graph.build()


def _varied(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.4, weight.shape))
    return model


def _same(make: Callable[[object], object], *, channels: int = 5, height: int = 6, width: int = 8) -> tuple[keras.Model, list[str]]:
    """Compare a net that `make` builds on a feature map with its simplified form; that form, and its layers' kinds."""
    x = keras.Input((height, width, channels), batch_size=1)
    model = _varied(keras.Model(x, make(x)))
    simple = _simplified(model)
    values = np.random.default_rng(4).normal(0, 1, (1, height, width, channels)).astype(np.float32)
    expected, found = np.asarray(model(values)), np.asarray(simple(values))
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    return simple, [type(layer).__name__ for layer in simple.layers[1:]]


@pytest.mark.parametrize("size", TAPS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_transposed_convolution_becomes_phases(size: int, bias: bool) -> None:
    _, kinds = _same(lambda x: layers.Conv2DTranspose(3, size, 2, padding="same", use_bias=bias)(x))
    assert [kind for kind in kinds if kind not in ("ZeroPadding2D", "Cropping2D")] == ["Conv2D", "DepthToSpace"]


@pytest.mark.parametrize("bias", [True, False])
def test_many_channels_of_a_3x3_kernel_become_a_convolution_for_each_phase(bias: bool) -> None:
    """With the nine taps of the kernel, and no zeros beside them."""
    simple, kinds = _same(lambda x: layers.Conv2DTranspose(FEW + 1, 3, 2, padding="same", use_bias=bias)(x))
    assert [kind for kind in kinds if kind != "ZeroPadding2D"] == ["Conv2D"] * 4 + ["Concatenate", "DepthToSpace"]
    sides = [layer.kernel_size for layer in simple.layers if isinstance(layer, layers.Conv2D)]
    assert sorted(sides) == [(1, 1), (1, 2), (2, 1), (2, 2)]


@pytest.mark.parametrize("few", [0, FEW])
def test_phases_by_hand(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernel 3x3 of the taps 1 to 9, one pixel of value 1: its 2x2 block gets 1 2 / 4 5, the blocks right and below the rest."""
    monkeypatch.setattr(subpixel, "FEW", few)
    x = keras.Input((2, 2, 1), batch_size=1)
    model = keras.Model(x, layers.Conv2DTranspose(1, 3, 2, padding="same", use_bias=False)(x))
    model.set_weights([np.arange(1, 10, dtype=np.float32).reshape(3, 3, 1, 1)])
    image = np.zeros((1, 2, 2, 1), np.float32)
    image[0, 0, 0, 0] = 1
    assert np.asarray(_simplified(model)(image))[0, ..., 0].tolist() == [[1, 2, 3, 0], [4, 5, 6, 0], [7, 8, 9, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("act", [layers.ReLU(6.0), layers.LeakyReLU(0.2), layers.PReLU(shared_axes=[1, 2])])
@pytest.mark.parametrize("size", TAPS)
def test_an_activation_comes_before_the_spreading(act: layers.Layer, size: int) -> None:
    act = act.__class__.from_config({**act.get_config(), "name": "act"})
    for filters in (3, FEW + 1):
        fresh = act.__class__.from_config(act.get_config())
        _, kinds = _same(
            lambda x, fresh=fresh, n=filters: layers.Conv2D(2, 3)(fresh(layers.Conv2DTranspose(n, size, 2, padding="same")(x)))
        )
        assert kinds.index(type(act).__name__) < kinds.index("DepthToSpace")
        assert "Concatenate" not in kinds or kinds.index(type(act).__name__) < kinds.index("Concatenate")


def test_an_activation_that_another_step_passes_by_stays_behind() -> None:
    def make(x: object) -> object:
        raw = layers.Conv2DTranspose(3, 2, 2)(x)
        return layers.Add()([layers.ReLU()(raw), raw])

    _, kinds = _same(make)
    assert kinds.index("DepthToSpace") < kinds.index("ReLU")


def test_two_doublings_in_a_row_become_one_spreading() -> None:
    simple, kinds = _same(lambda x: layers.Conv2DTranspose(1, 2, 2)(layers.ReLU()(layers.Conv2DTranspose(4, 2, 2)(x))))
    assert kinds == ["Conv2D", "ReLU", "Conv2D", "DepthToSpace"]
    assert simple.layers[-1].block == 4


def test_transposed_kernels_that_are_left_alone() -> None:
    for layer in (
        layers.Conv2DTranspose(3, 5, 2, padding="same"),
        layers.Conv2DTranspose(3, 3, 3, padding="same"),
        layers.Conv2DTranspose(3, 3, 2, padding="valid"),
        layers.Conv2DTranspose(3, 2, 2, activation="tanh"),
    ):
        assert _same(lambda x, layer=layer: layer(x))[1] == ["Conv2DTranspose"]


def test_a_grouped_transposed_convolution() -> None:
    assert "Conv2D" in _same(lambda x: DepthwiseConv2DTranspose()(x))[1]


def test_a_transposed_pointwise_convolution_becomes_a_plain_one() -> None:
    assert _same(lambda x: layers.Conv2DTranspose(3, 1)(x))[1] == ["Conv2D"]


@pytest.mark.parametrize("resize", [lambda: layers.UpSampling2D(2, interpolation="bilinear"), lambda: AlignCorners(2)])
@pytest.mark.parametrize("channels", [3, 5])
def test_a_convolution_that_does_not_widen_comes_before_the_resizes(resize: Callable[[], layers.Layer], channels: int) -> None:
    _, kinds = _same(lambda x: layers.Conv2D(channels, 1)(resize()(resize()(x))))
    name = type(resize()).__name__
    assert kinds == ["Conv2D", name, name]


@pytest.mark.parametrize("way", ["bilinear", "nearest"])
def test_the_mean_of_a_sum_is_the_sum_of_the_means_of_the_smaller_maps(way: str) -> None:
    def make(x: object) -> object:
        small = layers.Conv2D(5, 2, 2)(x)
        total = layers.Add()([x, layers.UpSampling2D(2, interpolation=way)(small), layers.UpSampling2D(2, interpolation=way)(small)])
        return layers.Activation("tanh")(layers.GlobalAveragePooling2D(keepdims=True)(total))

    simple, kinds = _same(make)
    assert kinds.count("GlobalAveragePooling2D") == 3
    assert "UpSampling2D" not in kinds
    assert simple.get_layer(index=-2).input_shape == [(1, 1, 1, 5)] * 3


def test_a_sum_that_others_read_keeps_its_mean() -> None:
    def make(x: object) -> object:
        total = layers.Add()([x, layers.Conv2D(5, 1)(x)])
        return layers.Multiply()([total, layers.GlobalAveragePooling2D(keepdims=True)(total)])

    assert _same(make)[1] == ["Conv2D", "Add", "GlobalAveragePooling2D", "Multiply"]


def test_the_mean_of_what_align_corners_enlarges_is_another() -> None:
    """The outermost pixels weigh less there."""

    def make(x: object) -> object:
        small = layers.Conv2D(5, 2, 2)(x)
        return layers.GlobalAveragePooling2D(keepdims=True)(layers.Add()([x, AlignCorners(2)(small)]))

    assert "AlignCorners" in _same(make)[1]


def test_what_does_not_commute_with_a_resize_stays_behind_it() -> None:
    up = layers.UpSampling2D(2, interpolation="bilinear")
    assert _same(lambda x: layers.Conv2D(3, 1)(BilinearTranspose(2)(x)))[1] == ["BilinearTranspose", "Conv2D"]  # its rim fades
    assert _same(lambda x: layers.Conv2D(6, 1)(up(x)))[1] == ["UpSampling2D", "Conv2D"]  # wider
    assert _same(lambda x: layers.Conv2D(3, 1, activation="relu")(up(x)))[1] == ["UpSampling2D", "Conv2D"]
    assert _same(lambda x: layers.Conv2D(3, 2)(up(x)))[1] == ["UpSampling2D", "Conv2D"]


@pytest.mark.parametrize("factors", [(2,), (3,), (4, 2), (2, 2, 2)])
@pytest.mark.parametrize("channels", [1, 2])
def test_resizes_of_few_channels_become_one_convolution(factors: tuple[int, ...], channels: int) -> None:
    def make(x: object) -> object:
        for factor in factors:
            x = layers.UpSampling2D(factor, interpolation="bilinear")(x)
        return x

    simple, kinds = _same(make, channels=channels)
    assert kinds == ["EdgePad", "Conv2D", "DepthToSpace"]
    assert simple.layers[-1].block == np.prod(factors)


def test_resize_weights_by_hand() -> None:
    """Doubled: the left pixel lies 1/4 towards the left neighbour, the right one 1/4 towards the right."""
    np.testing.assert_allclose(weights([2]), [[0.25, 0], [0.75, 0.75], [0, 0.25]])


def test_three_channels_are_resized_as_they_were() -> None:
    assert _same(lambda x: layers.UpSampling2D(2, interpolation="bilinear")(x), channels=3)[1] == ["UpSampling2D"]


def test_a_resize_that_is_read_twice_is_replaced_alone() -> None:
    def make(x: object) -> object:
        once = layers.UpSampling2D(2, interpolation="bilinear")(x)
        return layers.Concatenate()([layers.UpSampling2D(2, interpolation="bilinear")(once), layers.UpSampling2D(2)(once)])

    assert _same(make, channels=1)[1].count("EdgePad") == 2


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (lambda x: layers.Conv2D(2, 3)(x), ["Conv2D", "Activation"]),
        (lambda x: layers.Conv2DTranspose(2, 1)(x), ["Conv2D", "Activation"]),
        (lambda x: layers.Activation("linear")(layers.Conv2D(2, 1)(x)), ["Conv2D", "Activation"]),
        (lambda x: AlignCorners(2)(layers.Conv2D(2, 1)(x)), ["Conv2D", "AlignCorners", "Activation"]),
        (lambda x: layers.DepthwiseConv2D(3)(x), ["DepthwiseConv2D", "Conv2D", "Activation"]),
        (lambda x: layers.Conv2D(2, 3, activation="relu")(x), ["Conv2D", "Conv2D", "Activation"]),
    ],
)
def test_two_classes_become_sigmoids_of_the_difference(make: Callable[[object], object], kinds: list[str]) -> None:
    simple, found = _same(lambda x: layers.Activation("softmax", name="prob")(make(x)), channels=2)
    assert found == kinds
    assert simple.layers[-1].activation is keras.activations.sigmoid


def test_a_softmax_of_three_stays() -> None:
    simple, _ = _same(lambda x: layers.Activation("softmax")(layers.Conv2D(3, 1)(x)))
    assert simple.layers[-1].activation is keras.activations.softmax


def test_a_shared_layer_keeps_its_weights_for_all() -> None:
    shared = layers.Conv2D(5, 1)

    def make(x: object) -> object:
        return layers.Activation("softmax")(layers.Conv2D(2, 1)(shared(shared(x))))

    simple, _ = _same(make)
    assert sum(isinstance(layer, layers.Conv2D) for layer in simple.layers) == 2


def test_depth_to_space_is_kept_by_its_settings() -> None:
    assert DepthToSpace.from_config(DepthToSpace(4).get_config()).block == 4


@pytest.mark.parametrize("first", [0, 1])
def test_a_shortcut_goes_into_the_convolution_beside_it(first: int) -> None:
    def block(x: object) -> object:
        pair = [layers.Conv2D(5, 3, padding="same")(x), x]
        return layers.Conv2D(2, 1)(layers.ReLU()(layers.Add()([pair[first], pair[1 - first]])))

    _, kinds = _same(block)
    assert kinds == ["Conv2D", "ReLU", "Conv2D"]


OTHERS = {
    "curved": lambda: layers.Conv2D(5, 3, padding="same", activation="relu"),
    "grouped": lambda: layers.Conv2D(5, 3, padding="same", groups=5),
    "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same"),
    "without a middle": lambda: layers.Conv2D(5, 2, padding="same"),
    "1x1": lambda: layers.Conv2D(5, 1),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_shortcuts_stay(kind: str) -> None:
    _, kinds = _same(lambda x: layers.Add()([OTHERS[kind]()(x), x]))
    assert kinds[-1] == "Add"


def test_a_convolution_that_others_read_keeps_its_shortcut_outside() -> None:
    def block(x: object) -> object:
        made = layers.Conv2D(5, 3, padding="same")(x)
        return layers.Concatenate()([layers.Add()([made, x]), made])

    _, kinds = _same(block)
    assert "Add" in kinds
