"""The 5x5 binomial filter that Canny and the Laplacian pyramid smooth with."""

import numpy as np
import tensorflow as tf

ROW = np.array([1, 4, 6, 4, 1], np.float32) / 16
KERNEL = np.outer(ROW, ROW)[..., None, None]
"""(5,5,1,1); its sums are exact in float32 for hard masks, which keeps ties ties."""


def mirrored(x: tf.Tensor, pixels: int) -> tf.Tensor:
    """(N,h,w,1) with a border of so many pixels in which the picture is mirrored, its edge pixels included."""
    return tf.pad(x, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]], "SYMMETRIC")


def smooth(x: tf.Tensor, stride: int = 1) -> tf.Tensor:
    """Low-pass filtered, every `stride`-th pixel: (N,h,w,1) -> (N,ceil(h/stride),ceil(w/stride),1)."""
    return tf.nn.conv2d(mirrored(x, 2), KERNEL, stride, "VALID")


def double(x: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The inverse size of `smooth(x, 2)`: zeros between the pixels, then the filter. (N,h,w,1) -> (N,height,width,1)."""
    framed = mirrored(x, 1)
    batch, rows, columns = tf.shape(x)[0], 2 * framed.shape[1] + 3, 2 * framed.shape[2] + 3
    wide = tf.nn.conv2d_transpose(framed, 4.0 * KERNEL, (batch, rows, columns, 1), 2, "VALID")
    return wide[:, 4 : 4 + height, 4 : 4 + width]  # pixel 0 lies at 2 for the filter's middle and 2 more for the frame
