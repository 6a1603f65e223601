"""Transposed convolutions without overlap as 1x1 convolutions and DEPTH_TO_SPACE."""

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg.export import subpixel, tflite, tflite_report


def _model(*, stride: int = 2, bias: bool = True, behind: tuple[layers.Layer, ...] = ()) -> keras.Model:
    x = image = keras.Input((6, 5, 3), batch_size=1)
    x = layers.Conv2D(7, 1)(x)
    x = layers.Conv2DTranspose(4, stride, stride, use_bias=bias, bias_initializer="random_normal", name="up")(x)
    for layer in behind:
        x = layer(x)
    return keras.Model(image, x)


def _names(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("behind", [(), (layers.ReLU(6.0), layers.Conv2D(2, 1)), (layers.PReLU(shared_axes=[1, 2]),)])
def test_same_function_without_a_transposed_convolution(stride, bias, behind):
    keras.utils.set_random_seed(0)
    model = _model(stride=stride, bias=bias, behind=tuple(layer.from_config(layer.get_config()) for layer in behind))
    rewritten = subpixel.to_subpixel(model)
    x = np.random.default_rng(0).normal(size=model.input_shape).astype(np.float32)
    assert "Conv2DTranspose" not in _names(rewritten)
    assert model(x).numpy().std() > 0.1
    np.testing.assert_allclose(rewritten(x), model(x), atol=1e-5)


def test_a_pixel_becomes_its_kernel():
    """By hand: an impulse of channel 1 at row 2, column 3 leaves that channel's kernel at rows 4 to 5, columns 6 to 7."""
    image = keras.Input((4, 4, 2), batch_size=1)
    model = keras.Model(image, layers.Conv2DTranspose(1, 2, 2, use_bias=False)(image))
    kernel = np.arange(8, dtype=np.float32).reshape(2, 2, 1, 2)
    model.set_weights([kernel])
    impulse = np.zeros((1, 4, 4, 2), np.float32)
    impulse[0, 2, 3, 1] = 1
    expected = np.zeros((8, 8), np.float32)
    expected[4:6, 6:8] = [[1, 3], [5, 7]]
    np.testing.assert_array_equal(subpixel.to_subpixel(model)(impulse)[0, ..., 0], expected)


def test_the_relu_is_fused_into_the_convolution():
    model = _model(behind=(layers.ReLU(), layers.Conv2D(2, 1)))
    assert _names(subpixel.to_subpixel(model))[-4:] == ["Conv2D", "ReLU", "DepthToSpace", "Conv2D"]
    calibration = [np.random.default_rng(0).normal(size=(1, 6, 5, 3)).astype(np.float32)]
    report = tflite_report.inspect(tflite.convert(subpixel.to_subpixel(model), "int8", calibration=calibration, io="int8"))
    assert report.ops == {"CONV_2D": 3, "DEPTH_TO_SPACE": 1}
    assert report.partitions == 1


@pytest.mark.parametrize("layer", [layers.Conv2DTranspose(4, 3, 2, padding="same"), layers.Conv2DTranspose(4, 1, 1)])
def test_kernels_that_overlap_or_do_not_enlarge_stay(layer):
    image = keras.Input((6, 5, 3), batch_size=1)
    model = keras.Model(image, layer.from_config(layer.get_config())(image))
    assert "Conv2DTranspose" in _names(subpixel.to_subpixel(model))
