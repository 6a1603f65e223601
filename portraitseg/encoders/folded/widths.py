"""Kernels of an encoder whose widths another code rounded: ours are multiples of 8 (`layers.divisible`), DeepLab's of 4.

Such a file has 12 channels where ours has 16. Its kernels are put into wider ones: what the further channels give stays as the layer was
initialised, but nothing hears it, since the weights that would take it start at 0. So the encoder computes what the file's does, and
training can make use of the rest.
"""

from dataclasses import replace

import numpy as np

from portraitseg.encoders.folded.graph import Float32, Kernel
from portraitseg.layers import divisible


def fits(shape: tuple[int, ...], kernel: Kernel, *, first: bool) -> bool:
    """Whether the file's kernel is that of a layer, or one that becomes it by rounding the width.

    Args:
        shape: of the layer's kernel; the kind is compared elsewhere.
        kernel: the file's.
        first: whether it takes the picture, whose fourth channel, the prior, is left to whoever copies the weights.
    """
    if kernel.values.ndim != 4 or kernel.values.shape[:2] != shape[:2]:
        return False
    (channels, out), (needed, wide) = kernel.values.shape[2:], shape[2:]
    if first:
        return channels in (needed, min(needed, 3)) and out == wide
    if kernel.form == "transposed":
        return kernel.values.shape == shape
    if kernel.form == "depthwise":
        return bool(channels <= needed and out == wide)
    expanded = out * needed == wide * channels  # by the same factor, from an input that was rounded
    return bool(channels <= needed and out <= wide and (out == wide or divisible(out) == wide or expanded))


def widen(kernel: Kernel, start: Float32, *, first: bool) -> Kernel:
    """The kernel within one of the layer's shape, whose initial values are `start`; as it is where nothing is missing."""
    channels, out = kernel.values.shape[2:]
    if first or kernel.form == "slopes" or kernel.values.shape == start.shape:
        return kernel
    values = np.array(start, np.float32)
    values[:, :, :channels, :out] = kernel.values
    if not kernel.form:
        values[:, :, channels:] = 0
    wide = replace(kernel, values=values)
    return replace(wide, bias=np.pad(kernel.bias, (0, wide.channels - kernel.channels)))
