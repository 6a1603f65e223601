"""The loss against another net's features."""

import tensorflow as tf

RIDGE = 1e-2
"""Share of the mean variance of the student's channels that is added to each: with few pixels and many channels a fit would be perfect."""


def unexplained_variance(student: tf.Tensor, teacher: tf.Tensor) -> tf.Tensor:
    """Share of the teacher's variance that no linear map of the student's channels gives, in [0,1].

    As FitNets (Romero 2015, arXiv:1412.6550) but for the map, a 1x1 convolution there that is learned beside the net: here it is the
    best one for the batch, by ridge regression, so that the widths need not agree and nothing further is trained. It is 1 - R^2 of
    linear regression as in Kornblith 2019 (arXiv:1905.00414), the teacher's channels all scaled to one variance.

    Args:
        student: (N,h,w,C).
        teacher: (N,h,w,D); no gradient flows into it.

    Returns:
        A scalar; 0 if the teacher is constant.
    """
    x, y = (tf.reshape(tf.cast(values, tf.float32), (-1, values.shape[-1])) for values in (student, tf.stop_gradient(teacher)))
    x, y = x - tf.reduce_mean(x, 0), y - tf.reduce_mean(y, 0)
    y = tf.math.divide_no_nan(y, tf.math.reduce_std(y, 0))
    products = tf.matmul(x, x, transpose_a=True)
    ridge = RIDGE * tf.linalg.trace(products) / tf.cast(tf.shape(products)[0], tf.float32) + 1e-6
    shared = tf.matmul(x, y, transpose_a=True)  # C,D
    best = tf.linalg.cholesky_solve(tf.linalg.cholesky(products + ridge * tf.eye(tf.shape(products)[0])), shared)
    return tf.math.divide_no_nan(tf.reduce_sum(tf.square(y - tf.matmul(x, best))), tf.reduce_sum(tf.square(y)))
