"""portraitseg: train, quantize, measure and ship real-time portrait segmentation models.

Importing the package loads nothing heavy. It sets `TF_USE_LEGACY_KERAS=1`, because the quantization toolkit
(tensorflow-model-optimization) works with Keras 2 (`tf_keras`) alone and reads the variable when TensorFlow loads.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"
