"""Weights of an encoder or a whole net out of a .tflite or .onnx file, whose batch normalisation is merged into its convolutions.

`match` takes them convolution by convolution, `unfold` gives our batch normalisation its statistics back.
"""
