"""The package before TensorFlow, as programs load them: it says which Keras TensorFlow is to use."""

import portraitseg  # noqa: F401
