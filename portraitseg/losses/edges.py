"""Edge detectors in the graph: (N,H,W,1) in [0,1] -> (N,H,W,1), 1 on the edge and 0 elsewhere."""

import tensorflow as tf

from portraitseg.losses.smoothing import smooth

SOBEL = 1.0
"""Least gradient by Sobel's kernels, which give 4 at a hard edge: the mask changes by an eighth a pixel."""
CANNY = (0.4, 0.8)
"""Low and high threshold in the same unit, after smoothing, which leaves 2.5 of a hard edge's 4."""
TAN = 2.0**0.5 - 1
"""Tangent of 22.5 degrees; that of 67.5 is 2 more."""


def sobel(mask: tf.Tensor) -> tf.Tensor:
    """Pixels whose gradient by Sobel's kernels is at least SOBEL; at a hard edge the two rows beside it."""
    return tf.cast(_length(_gradient(mask)) >= SOBEL**2, tf.float32)


def canny(mask: tf.Tensor) -> tf.Tensor:
    """Canny's edges, one pixel thin (Canny 1986, doi:10.1109/TPAMI.1986.4767851).

    Smoothing with a 5x5 binomial filter, Sobel, thinning to the gradient's maxima across the edge in four directions, then hysteresis:
    kept is what exceeds the high threshold, and what exceeds the low one and hangs together with that.
    """
    gradient = _gradient(smooth(mask))
    length = _length(gradient)
    thin = _maxima(gradient, length)
    low, high = (tf.cast(thin & (length > limit**2), tf.float32) for limit in CANNY)
    return _hysteresis(high, low)


def _gradient(mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    dy, dx = tf.unstack(tf.image.sobel_edges(mask), axis=-1)
    return dy, dx


def _length(gradient: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Squared: the root would make unequal what is equal."""
    dy, dx = gradient
    return dy**2 + dx**2


def _maxima(gradient: tuple[tf.Tensor, tf.Tensor], length: tf.Tensor) -> tf.Tensor:
    """Where `length` is largest across the edge; of two equal neighbours the upper or left one. Bool (N,H,W,1)."""
    dy, dx = gradient
    height, width = length.shape[1:3]
    framed = tf.pad(length, [[0, 0], [1, 1], [1, 1], [0, 0]])

    def beside(rows: int, columns: int) -> tf.Tensor:
        return framed[:, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    across = (length > beside(0, -1)) & (length >= beside(0, 1))
    down = (length > beside(-1, 0)) & (length >= beside(1, 0))
    falling = (length > beside(-1, -1)) & (length > beside(1, 1))
    rising = (length > beside(-1, 1)) & (length > beside(1, -1))
    diagonal = tf.where(dx * dy > 0, falling, rising)
    steep = tf.abs(dy) > (TAN + 2) * tf.abs(dx)
    return tf.where(tf.abs(dy) < TAN * tf.abs(dx), across, tf.where(steep, down, diagonal))


def _hysteresis(strong: tf.Tensor, weak: tf.Tensor) -> tf.Tensor:
    """Grow `strong` within `weak`, by the eight neighbours, until nothing changes."""

    def grown(kept: tf.Tensor) -> tf.Tensor:
        return tf.nn.max_pool2d(kept, 3, 1, "SAME") * weak

    def grows(kept: tf.Tensor, before: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(kept != before)

    def grow(kept: tf.Tensor, before: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return grown(kept), kept

    kept, _ = tf.while_loop(grows, grow, (grown(strong), strong))
    return kept
