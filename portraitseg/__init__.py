"""portraitseg: train, quantize, measure and ship real-time portrait segmentation models.

Importing the package loads nothing heavy. It sets `TF_USE_LEGACY_KERAS=1`, because the quantization toolkit
(tensorflow-model-optimization) works with Keras 2 (`tf_keras`) alone and reads the variable when TensorFlow loads. On x86 it sets
`TF_ENABLE_ONEDNN_OPTS=1`: TensorFlow itself leaves oneDNN off without AVX-512 or VNNI, where it trains small nets half again as fast.
"""

import os
import platform

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"
