"""The second view of the consistency loss: colours, blur and noise in the graph, geometry untouched."""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import cv2
import numpy as np
import tensorflow as tf

from portraitseg.card import Card
from portraitseg.optional import require

Texture = Callable[[tf.Tensor], tf.Tensor]
"""(N,H,W,C) -> (N,H,W,C)."""

PROBABILITY = 0.5
"""Of each of the three changes, picture by picture."""
SATURATION = BRIGHTNESS = (0.4, 1.6)
CONTRAST = (0.6, 1.4)
SHARPNESS = (0.8, 1.2)
NOISE = (0.0, 10.0)
"""Standard deviation, in bytes."""
BLURS = np.array(
    [
        [0, *cv2.getGaussianKernel(3, 0).ravel(), 0],
        cv2.getGaussianKernel(5, 0).ravel(),
        [0, *np.full(3, 1 / 3), 0],
        np.full(5, 1 / 5),
    ],
    np.float32,
)
"""Rows of the separable filters: Gaussian and box, 3 and 5 pixels wide."""
SHARES = np.array([3, 3, 4, 4]) / 14
"""How often each of them."""


def make_texture(card: Card) -> Texture:
    """PortraitNet's texture enhancement (Zhang 2019, doi:10.1016/j.cag.2019.03.007), with its probabilities and ranges.

    All random numbers come from TensorFlow's global generator, as the dropout's do, so that a resumed run sees the same views. Therefore
    keras-cv's layers get factors drawn here; left to themselves, most of them draw from kernels whose state cannot be saved. Against the
    original: contrast is about each channel's mean instead of the grey mean, and of its three blurs the median is left out, for
    which TensorFlow has no operation; the other two share its part.

    Args:
        card: range, order and channels of the input; a prior (channel 4) is left alone.
    """
    enhance = _make_enhance()
    mean, std = (tf.constant(values, tf.float32) for values in (card.input.mean, card.input.std))
    step = -1 if card.input.order == "bgr" else 1

    def texture(x: tf.Tensor) -> tf.Tensor:
        picture, prior = x[..., :3], x[..., 3:]
        rgb = (picture * std + mean)[..., ::step]  # 0 to 255
        for change in (enhance, blur, add_noise):
            rgb = sometimes(change, rgb)
        return tf.concat([(rgb[..., ::step] - mean) / std, prior], -1)

    return texture


def sometimes(change: Texture, rgb: tf.Tensor) -> tf.Tensor:
    """Change each picture with PROBABILITY."""
    return tf.where(_draw(rgb, 0.0, 1.0) < PROBABILITY, change(rgb), rgb)


def blur(rgb: tf.Tensor) -> tf.Tensor:
    """Each picture (N,H,W,3) by one of BLURS."""
    height, width = rgb.shape[1:3]
    which = tf.searchsorted(np.cumsum(SHARES).astype(np.float32), tf.reshape(_draw(rgb, 0.0, 1.0), [-1]), side="right")
    taps = tf.transpose(tf.gather(BLURS, tf.minimum(which, len(BLURS) - 1)))[..., None, None, None]  # 5,N,1,1,1
    framed = tf.pad(rgb, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT")
    rows = tf.add_n([taps[i] * framed[:, i : i + height] for i in range(5)])
    return tf.add_n([taps[i] * rows[:, :, i : i + width] for i in range(5)])


def add_noise(rgb: tf.Tensor) -> tf.Tensor:
    """Gaussian noise, of another strength for each picture (N,H,W,3)."""
    noise = tf.random.get_global_generator().normal(tf.shape(rgb))
    return tf.clip_by_value(rgb + _draw(rgb, *NOISE) * noise, 0.0, 255.0)


def _make_enhance() -> Texture:
    """Saturation, brightness, contrast and sharpness, each by a factor where 1 changes nothing. (N,H,W,3), 0 to 255."""
    with redirect_stdout(StringIO()):  # it says which backend it uses
        layers = require("keras_cv", extra="train").layers  # 4 s
    saturation = layers.RandomColorDegeneration(1.0, dtype="float32")
    contrast = layers.RandomContrast((0, 255), 0.4, dtype="float32")
    sharpness = layers.RandomSharpness(1.0, (0, 255), dtype="float32")

    def enhance(rgb: tf.Tensor) -> tf.Tensor:
        rgb = saturation.augment_images(rgb, transformations=1.0 - _draw(rgb, *SATURATION))  # towards grey
        rgb = tf.minimum(rgb * _draw(rgb, *BRIGHTNESS), 255.0)  # keras-cv's adds, the original's scales
        rgb = contrast.augment_images(rgb, transformations=_draw(rgb, *CONTRAST))
        return sharpness.augment_images(rgb, transformations=1.0 - _draw(rgb, *SHARPNESS))  # towards a blurred one

    return enhance


def _draw(rgb: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """A number for each picture, (N,1,1,1)."""
    return tf.random.get_global_generator().uniform((tf.shape(rgb)[0], 1, 1, 1), low, high)
