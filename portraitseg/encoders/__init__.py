"""The encoders by name."""

from portraitseg.encoders import mobilenet_v2, mobilenet_v3

ENCODERS = {
    "mobilenet_v2": mobilenet_v2.mobilenet_v2,
    "mobilenet_v3_small": mobilenet_v3.mobilenet_v3_small,
    "mobilenet_v3_small_thin": mobilenet_v3.mobilenet_v3_small_thin,
}
