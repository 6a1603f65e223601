"""The encoders by name."""

from portraitseg.encoders import mobilenet_v2, mobilenet_v3
from portraitseg.encoders.spec import EncoderSpec

# fmt: off
ENCODERS: dict[str, EncoderSpec] = {
    "mobilenet_v2": EncoderSpec(
        builder=mobilenet_v2.mobilenet_v2, taps=mobilenet_v2.TAPS, last="enc_block_16_project_BN",
        application=mobilenet_v2.imagenet, file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{wm}_224_no_top.h5"),
    "mobilenet_v3_small": EncoderSpec(
        builder=mobilenet_v3.mobilenet_v3_small, taps=mobilenet_v3.TAPS, last=mobilenet_v3.LAST,
        application=mobilenet_v3.imagenet_small, file="weights_mobilenet_v3_small_minimalistic_224_1.0_float_no_top_v2.h5"),
    "mobilenet_v3_small_thin": EncoderSpec(
        builder=mobilenet_v3.mobilenet_v3_small_thin, taps=mobilenet_v3.TAPS, last=mobilenet_v3.LAST,
        application=mobilenet_v3.imagenet_small, file="weights_mobilenet_v3_small_minimalistic_224_1.0_float_no_top_v2.h5"),
}
# fmt: on
