"""The three resizes against OpenCV, NumPy and TensorFlow 1's own, which shifts: the mask must stay where the person is."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from portraitseg import archs
from portraitseg.resizing import RESIZES, AlignCorners, BilinearTranspose, DepthwiseConv2DTranspose, bilinear_kernel, upsample

SIZE = 8
OTHER_WIDTHS = {"u2net", "portrait_nano_m", "portrait_nano_l"}
"""Archs with the layers of another, in other widths."""


def enlarged(x, factor=2, resize="half_pixel"):
    """`upsample` on an array (N,h,w,C)."""
    image = keras.Input(x.shape[1:])
    return keras.Model(image, upsample(image, factor, resize=resize, name="up"))(x.astype(np.float32)).numpy()


def legacy(x, factor=2):
    """TensorFlow 1's default resize: corners aligned at the top left alone."""
    return tf.compat.v1.image.resize_bilinear(x.astype(np.float32), (x.shape[1] * factor, x.shape[2] * factor)).numpy()


def impulse(row, column, size=SIZE):
    x = np.zeros((1, size, size, 1), np.float32)
    x[0, row, column, 0] = 1
    return x


def centroid(x):
    """Mean row and column of a map (1,h,w,1)."""
    rows, columns = np.mgrid[: x.shape[1], : x.shape[2]]
    weights = x[0, ..., 0] / x.sum()
    return float((rows * weights).sum()), float((columns * weights).sum())


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("resize", ["half_pixel", "transpose"])
def test_an_impulse_stays_at_the_centre_of_its_pixel(resize, factor):
    """Pixel i of the small map covers pixels factor*i to factor*i + factor-1, whose mean is factor*i + (factor-1)/2."""
    found = centroid(enlarged(impulse(3, 4), factor, resize))
    assert found == pytest.approx((3 * factor + (factor - 1) / 2, 4 * factor + (factor - 1) / 2))


@pytest.mark.parametrize(("row", "column"), [(2, 5), (3, 4), (4, 4)])
def test_with_aligned_corners_an_impulse_peaks_where_the_stretched_grid_puts_it(row, column):
    """Pixel i of n stands at i * (2n-1)/(n-1) of 2n: at the corners exactly, and the further in, the nearer to half_pixel's 2i + 0.5."""
    doubled = enlarged(impulse(row, column), resize="align_corners")[0, ..., 0]
    step = (2 * SIZE - 1) / (SIZE - 1)
    positions = np.arange(2 * SIZE)
    wanted = [np.clip(1 - np.abs(positions / step - place), 0, None) for place in (row, column)]  # a tent about i * step
    np.testing.assert_allclose(doubled, np.outer(*wanted), atol=1e-6)


def test_aligned_corners_keep_the_corners():
    x = noise(1, SIZE, SIZE, 2)
    doubled = enlarged(x, resize="align_corners")
    np.testing.assert_allclose(doubled[:, [0, 0, -1, -1], [0, -1, 0, -1]], x[:, [0, 0, -1, -1], [0, -1, 0, -1]], atol=1e-6)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("axis", [1, 2])
def test_a_mirrored_map_gives_the_mirrored_result(resize, axis):
    x = noise(1, SIZE, 6, 3)
    np.testing.assert_allclose(enlarged(np.flip(x, axis), resize=resize), np.flip(enlarged(x, resize=resize), axis), atol=1e-5)


def test_the_resize_of_tensorflow_1_fails_both():
    """What these tests are for: it moves the mask by half a pixel (of the enlarged map) up and to the left."""
    x = noise(1, SIZE, 6, 3)
    assert np.abs(legacy(np.flip(x, 1)) - np.flip(legacy(x), 1)).max() > 0.5
    assert centroid(legacy(impulse(3, 4))) == pytest.approx((6.0, 8.0))  # not 6.5, 8.5


@pytest.mark.parametrize("factor", [2, 4])
def test_half_pixel_is_opencvs(factor):
    x = noise(1, 5, 7, 2)
    wanted = cv2.resize(x[0], (7 * factor, 5 * factor), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(enlarged(x, factor)[0], wanted, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 8, 32])
def test_transpose_is_half_pixel_away_from_the_border(factor):
    x = noise(1, 6, 7, 3)
    inner = slice(factor, -factor)
    found, wanted = enlarged(x, factor, "transpose"), enlarged(x, factor)
    np.testing.assert_allclose(found[:, inner, inner], wanted[:, inner, inner], atol=1e-5)


def test_transpose_fades_at_the_border():
    """Outside the map it sees 0: of the four weights 9/16, 3/16, 3/16, 1/16 the corner keeps the first, an edge the first two."""
    doubled = enlarged(np.ones((1, 4, 4, 1)), resize="transpose")[0, ..., 0]
    assert doubled[0, 0] == pytest.approx(9 / 16)
    assert doubled[0, 3] == pytest.approx(3 / 4)
    assert doubled[1, 1] == pytest.approx(1)


def test_the_kernel_worked_by_hand():
    taps = np.float32([1, 3, 3, 1]) / 4
    np.testing.assert_allclose(bilinear_kernel(2), np.outer(taps, taps))
    assert bilinear_kernel(8).sum() == pytest.approx(8 * 8)  # every input pixel gives as much as it covers


def grouped_transpose(x, kernel):
    """Each input pixel adds its value times the kernel (4,4) of its channel about its 2x2 block: plain loops."""
    count, height, width, channels = x.shape
    out = np.zeros((count, 2 * height + 2, 2 * width + 2, channels))
    for row in range(height):
        for column in range(width):
            out[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += x[:, row, column][:, None, None] * kernel
    return out[:, 1:-1, 1:-1]


def test_depthwise_transposed_convolution_is_a_grouped_one():
    x, kernel = noise(2, 3, 5, 4), np.random.default_rng(1).normal(size=(4, 4, 4)).astype(np.float32)
    image = keras.Input(x.shape[1:])
    layer = DepthwiseConv2DTranspose()
    model = keras.Model(image, layer(image))
    assert model.count_params() == 4 * 4 * 4
    np.testing.assert_allclose(model(x), enlarged(x, resize="transpose"), atol=1e-6)  # it starts as a resize
    layer.set_weights([kernel])
    np.testing.assert_allclose(model(x), grouped_transpose(x, kernel), atol=1e-5)


def test_its_kernel_is_trained():
    x = tf.constant(noise(1, 4, 4, 3))
    layer = DepthwiseConv2DTranspose()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x))
    (gradient,) = tape.gradient(loss, layer.trainable_variables)
    np.testing.assert_allclose(gradient[1, 1], tf.reduce_sum(x, (0, 1, 2)), rtol=1e-4)  # an inner tap meets every pixel


@pytest.mark.parametrize("make", [lambda: AlignCorners(4), lambda: BilinearTranspose(8), lambda: DepthwiseConv2DTranspose(2)])
def test_layers_come_back_from_their_settings(make):
    layer, x = make(), noise(1, 3, 4, 2)
    wanted = layer(x)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((None, 3, 4, 2)) == (None, 3 * layer.factor, 4 * layer.factor, 2)
    np.testing.assert_array_equal(again(x), wanted)


def test_a_factor_of_one_adds_nothing():
    image = keras.Input((4, 4, 1))
    assert upsample(image, 1, name="up") is image


def decoder(arch, resize):
    """The enlarging layers of an arch's trunk, from deep to fine, each an array function (its own layer, none rebuilt)."""
    other = {"up": "bilinear"} if "up" in archs.ARCHS[arch].options else {"decoder": "bilinear"} if arch == "munet_mnv2" else {}
    card = archs.new_card(arch, size=64, wm=0.125, resize=resize, **other)
    kinds = {"half_pixel": keras.layers.UpSampling2D, "align_corners": AlignCorners, "transpose": BilinearTranspose}
    found = [layer for layer in archs.logits_model(archs.build(card)).layers if isinstance(layer, tuple(kinds.values()))]
    assert found, f"{arch} has an option resize and no resize"
    assert {type(layer) for layer in found} == {kinds[resize]}
    return found


def enlarging() -> list:
    """Every arch that enlarges with every way to do so; for those beside the default way, all but two archs take `-m slow`."""
    names = [name for name, spec in archs.ARCHS.items() if "resize" in spec.options and name not in OTHER_WIDTHS]
    quick = {(name, RESIZES[0]) for name in names} | {
        (name, way) for name in ("munet_mnv3_transition", "portrait_nano_s") for way in RESIZES
    }
    pairs = [(name, way) for way in RESIZES for name in names]
    return [pytest.param(*pair, marks=[] if pair in quick else [pytest.mark.slow]) for pair in pairs]


@pytest.mark.parametrize(("arch", "resize"), enlarging())
def test_no_enlarging_layer_of_any_arch_shifts_the_mask(arch, resize):
    """A disc in the middle, through a copy of each enlarging layer of the net: its centre stays the middle."""
    for layer in decoder(arch, resize):
        _, height, width, _ = layer.output.shape
        rows, columns = np.mgrid[: layer.input.shape[1], : layer.input.shape[2]]
        middle = (layer.input.shape[1] - 1) / 2
        disc = np.exp(-((rows - middle) ** 2 + (columns - middle) ** 2))[None, ..., None].astype(np.float32)
        copy = layer.__class__.from_config(layer.get_config())
        assert centroid(np.asarray(copy(disc))) == pytest.approx(((height - 1) / 2, (width - 1) / 2), abs=1e-3)
