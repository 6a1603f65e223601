"""Float .tflite in, int8 .tflite out: ranges from pictures, weights evened and biases corrected where that is asked for."""
