"""A plain autoencoder of four kinds of operation, for chips that know no others: Conv, MaxPool, ConvTranspose, ReLU.

Source: the restricted net of BackgroundSegmentationUNet by lursz, of which only the description is public: convolutions of 32, 64, 128 and
256 channels, each followed by a max-pooling, 256 -> 512 -> 256 at the bottom, transposed convolutions of 128, 64, 32 and 16, a 1x1
convolution, no skips. Kernel sizes are ours: 3x3, and 2x2 for the transposed ones, whose windows then do not overlap (no checkerboard).
Batch normalisation is left out: every layer trains as it ships.

Without skips the mask's detail has to pass 1/16 of the size; this is the price of needing no addition and no concatenation.
"""

from tf_keras import layers

from portraitseg.layers import KerasTensor, conv, deconv, divisible, relu

DOWN = (32, 64, 128, 256)  # at 1/1, 1/2, 1/4, 1/8
BOTTOM = (512, 256)  # at 1/16
UP = (128, 64, 32, 16)  # at 1/8, 1/4, 1/2, 1/1


def autoencoder(x: KerasTensor, *, wm: float, classes: int = 1) -> KerasTensor:
    """Four halvings, four doublings.

    Args:
        x: (N,H,W,C) in [0,1], H and W multiples of 16.
        wm: width multiplier of every channel count.
        classes: channels of the logits.

    Returns:
        Logits (N,H,W,classes).
    """
    for level, channels in enumerate(DOWN):
        name = f"enc_level{level}"
        x = relu(conv(x, divisible(channels * wm), 3, name=f"{name}_conv"), name=f"{name}_relu")
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)  # N,h/2,w/2,C
    for number, channels in enumerate(BOTTOM, 1):
        x = relu(conv(x, divisible(channels * wm), 3, name=f"enc_bottom{number}"), name=f"enc_bottom{number}_relu")
    for level, channels in zip((3, 2, 1, 0), UP, strict=True):
        x = relu(deconv(x, divisible(channels * wm), 2, name=f"dec{level}_up"), name=f"dec{level}_relu")  # N,2h,2w,C
    return conv(x, classes, 1, name="head_conv")  # N,H,W,classes
