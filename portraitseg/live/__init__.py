"""Webcam and video: frames in, masks steadied and refined, composites out. Without TensorFlow."""
