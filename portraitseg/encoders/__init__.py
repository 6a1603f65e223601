"""The encoders by name."""

from functools import partial

from portraitseg.card import CAFFE
from portraitseg.encoders import mobilenet_v2, mobilenet_v3, mobilenet_v4, resnet50
from portraitseg.encoders.spec import EncoderSpec

_SMALL, _LARGE = (partial(mobilenet_v3.imagenet, name) for name in ("MobileNetV3Small", "MobileNetV3Large"))
_V3_FILE = "weights_mobilenet_v3_{kind}_224_{{wm}}_float_no_top_v2.h5"

# fmt: off
ENCODERS: dict[str, EncoderSpec] = {
    "mobilenet_v2": EncoderSpec(
        builder=mobilenet_v2.mobilenet_v2, taps=mobilenet_v2.TAPS, last=mobilenet_v2.LAST,
        application=mobilenet_v2.imagenet, file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{wm}_224_no_top.h5"),
    "mobilenet_v3_small": EncoderSpec(
        builder=mobilenet_v3.mobilenet_v3_small, taps=mobilenet_v3.TAPS, last=mobilenet_v3.LAST,
        application=partial(_SMALL, minimalistic=True), file=_V3_FILE.format(kind="small_minimalistic")),
    "mobilenet_v3_small_full": EncoderSpec(
        builder=mobilenet_v3.mobilenet_v3_small_full, taps=mobilenet_v3.TAPS_FULL, last=mobilenet_v3.LAST_FULL,
        application=partial(_SMALL, minimalistic=False), file=_V3_FILE.format(kind="small")),
    "mobilenet_v3_small_thin": EncoderSpec(
        builder=mobilenet_v3.mobilenet_v3_small_thin, taps=mobilenet_v3.TAPS, last=mobilenet_v3.LAST,
        application=partial(_SMALL, minimalistic=True), file=_V3_FILE.format(kind="small_minimalistic")),
    "mobilenet_v3_large": EncoderSpec(
        builder=mobilenet_v3.mobilenet_v3_large, taps=mobilenet_v3.TAPS_LARGE, last=mobilenet_v3.LAST,
        application=partial(_LARGE, minimalistic=True), file=_V3_FILE.format(kind="large_minimalistic")),
    "mobilenet_v3_large_full": EncoderSpec(
        builder=mobilenet_v3.mobilenet_v3_large_full, taps=mobilenet_v3.TAPS_LARGE_FULL, last=mobilenet_v3.LAST_FULL,
        application=partial(_LARGE, minimalistic=False), file=_V3_FILE.format(kind="large")),
    "mobilenet_v4_conv_small": EncoderSpec(
        builder=mobilenet_v4.mobilenet_v4_conv_small, taps=mobilenet_v4.TAPS, last=mobilenet_v4.LAST),
    "resnet50": EncoderSpec(
        builder=resnet50.resnet50, taps=resnet50.TAPS, last=resnet50.LAST, input=CAFFE,
        application=resnet50.imagenet, file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
}
# fmt: on
